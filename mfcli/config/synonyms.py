"""Names that other programs give to settings: Surprise, implicit, LIBMF, LensKit, Keras, ..."""

from __future__ import annotations

import difflib
from collections.abc import Collection

_SYNONYMS = {
    "k": "factors n_factors num_factors rank features n_features n_components components dim"
    " embedding_dim embedding_size output_dim latent_dim latent_factors n_latent",
    "optimizer": "optimiser algorithm algo solver method",
    "ensemble": "n_models n_estimators",
    "lr": "learning_rate learning_rate_init lrate lr_all lr_bu lr_bi lr_pu lr_qi eta eta0"
    " step_size",
    "batch_size": "batch minibatch minibatch_size bs block_size",
    "reg": "lambda lam regularization regularisation regularizer reg_param reg_all l2"
    " l2_reg weight_decay embeddings_regularizer penalty",
    "reg_user": "reg_pu user_reg",
    "reg_item": "reg_qi item_reg",
    "reg_user_bias": "reg_bu",
    "reg_item_bias": "reg_bi",
    "half_life": "time_decay decay_time decay_half_life recency",
    "lr_schedule": "scheduler lr_scheduler learning_rate_schedule decay lr_decay",
    "warmup": "warmup_epochs",
    "epochs": "n_epochs num_epochs iterations n_iterations num_iterations iters n_iters n_iter iter"
    " max_iter max_iterations",
    "patience": "early_stopping n_iter_no_change",
    "min_delta": "tol tolerance",
    "blocks": "n_blocks num_blocks num_user_blocks num_item_blocks bins n_bins",
    "seed": "random_state random_seed rng rng_spec rng_seed",
    "test": "test_size test_fraction test_ratio holdout",
    "valid": "validation val valid_size val_size val_fraction validation_split validation_fraction"
    " validation_size",
    "folds": "n_folds num_folds n_splits cv kfold",
    "min_user": "user_core min_user_ratings min_ratings_per_user",
    "min_item": "item_core min_item_ratings min_ratings_per_item",
    "damping": "bias_damping shrinkage",
    "resamples": "bootstrap n_bootstrap n_resamples bootstrap_samples",
    "at": "cutoff cutoffs top_k top_n",
    "relevant": "threshold relevance_threshold min_rating",
    "protocol": "evaluation_protocol eval_protocol",
    "strategy": "split_strategy splitter",
    "encoding": "charset",
    "on_bad_row": "on_bad_lines skip_errors ignore_errors",
    "duplicates": "drop_duplicates",
    "feedback": "feedback_type implicit implicit_feedback",
}
"""By the setting, the names that mean it."""

_SIMILAR = 0.66  # of 1; the least similarity of a misspelled name


def plain_name(name: str) -> str:
    """Return a name without case and separators: `maxIter`, `max_iter` and `max-iter` are one."""
    return name.replace("_", "").replace("-", "").casefold()


_MEANT = {plain_name(other): name for name, others in _SYNONYMS.items() for other in others.split()}


def meant_setting(name: str) -> str | None:
    """Return the setting that other programs call by a name; None if it is not known."""
    return _MEANT.get(plain_name(name))


def closest(name: str, names: Collection[str]) -> str | None:
    """Return the most similar of some names, apart from case and separators; None if none is."""
    plain = {plain_name(one): one for one in names}
    found = difflib.get_close_matches(plain_name(name), plain, n=1, cutoff=_SIMILAR)
    return plain[found[0]] if found else None
