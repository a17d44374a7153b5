"""What metrics say about a model, in one or two sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mfcli.evaluation.baseline_metrics import BaselineMetrics, Settings
from mfcli.evaluation.bootstrap import LEVEL, Interval, interval_text
from mfcli.storage import Section

_BIASES, _MEAN, _POPULAR = "damped biases", "the training mean", "a ranking by popularity"
_SAME = (0.0, 0.0)  # users without training ratings all get the most popular items
_FOR_RANKING = "mfcli init --for ranking"
_NO_INTERVALS = (
    "There are no confidence intervals, so the comparison with the baselines says little."
)


class Verdict(Section):
    """Whether a model is better than the baselines.

    Attributes
    ----------
    better : dict of bool or None
        By baseline: `mean` and `biases` are compared by RMSE, `popular` by NDCG; only the latter if
        only rankings were measured. None if the confidence interval of the difference includes 0,
        or if there is none.
    text : str
        The same in sentences, with something to try if the model is not better.
    published : str
        Published results, with their sources, if the data set is recognized; otherwise empty.
    """

    better: dict[str, bool | None]
    text: str
    published: str = ""


def verdict_of(
    on: str, training: Settings, baselines: Mapping[str, BaselineMetrics], published: str
) -> Verdict:
    """Judge a model by its metrics.

    Parameters
    ----------
    on : str
        The part of the split that it was measured on, or the name of the file.
    training : dict
        The settings that its training used.
    baselines : mapping of BaselineMetrics
    published : str
        As in `Verdict`.
    """
    ranked = baselines.get("popular")
    if "mean" not in baselines and ranked:
        better, sentences = _judged_rankings(ranked.ndcg_interval)
        is_open = ranked.ndcg_interval not in (None, _SAME)
    else:
        better, sentences = _judged_errors(baselines)
        is_open = baselines["biases"].gain_interval is not None
    if on == "train":
        sentences = ["The model was trained on these ratings; evaluate it on others."]
    elif is_open:
        sentences += _advice(better, training)
    return Verdict(better, " ".join(sentences), published if on == "test" else "")


def _judged_rankings(ends: Interval | None) -> tuple[dict[str, bool | None], list[str]]:
    """Judge a model of which only rankings were measured."""
    better = {"popular": _is_positive(ends)}
    if ends is None:
        return better, [_NO_INTERVALS]
    if ends == _SAME:
        return better, [_rankings_text(None, ends, "The rankings of the model")]
    text = _rankings_text(better["popular"], ends, "The rankings of the model")
    return better, [f"{text.removesuffix('.')} ({LEVEL:.0%} interval)."]


def _judged_errors(
    baselines: Mapping[str, BaselineMetrics],
) -> tuple[dict[str, bool | None], list[str]]:
    """Judge a model by its rating errors, and by its rankings if they were measured."""
    better = {name: _is_positive(baselines[name].gain_interval) for name in ("mean", "biases")}
    biases, ranked = baselines["biases"].gain_interval, baselines.get("popular")
    sentences = [_errors_text(better, biases)]
    if better["mean"] is False:
        sentences.append(_mean_text(better["biases"], baselines["mean"].gain_interval))
    if ranked:
        better["popular"] = _is_positive(ranked.ndcg_interval)
        if ranked.ndcg_interval:
            sentences.append(_rankings_text(better["popular"], ranked.ndcg_interval))
    return better, sentences


def fold_verdict(
    folds: Sequence[Verdict], training: Settings, *, has_intervals: bool = True
) -> Verdict:
    """Judge the models of a k-fold split: better or worse only if all of them are."""
    better = {name: _common([fold.better[name] for fold in folds]) for name in folds[0].better}
    if not has_intervals:
        return Verdict(better, _NO_INTERVALS, folds[0].published)
    sentences = []
    if "biases" in better:
        sentences.append(_folds_text("The model is", "biases", _BIASES, folds))
    if "popular" in better:
        what = "its rankings are" if sentences else "The rankings are"
        sentences.append(_folds_text(what, "popular", _POPULAR, folds))
    sentences = [f"{'; '.join(sentences)} ({LEVEL:.0%} intervals exclude 0)."]
    sentences += _advice(better, training)
    return Verdict(better, " ".join(sentences), folds[0].published)


def _is_positive(ends: Interval | None) -> bool | None:
    """Return the sign of all values in an interval; None if it includes 0."""
    if ends is None or ends[0] <= 0 <= ends[1]:
        return None
    return ends[0] > 0


def _common(values: list[bool | None]) -> bool | None:
    return values[0] if len(set(values)) == 1 else None


def _errors_text(better: Mapping[str, bool | None], biases: Interval | None) -> str:
    if biases is None:
        return _NO_INTERVALS
    low, high = biases
    level = f"({LEVEL:.0%} interval)"
    if better["biases"]:
        both = f" and {_MEAN}" if better["mean"] else ""
        size = f"{interval_text((low, high), '.1%')} lower than with {_BIASES}"
        return f"The model beats {_BIASES}{both}: its RMSE is {size} {level}."
    if better["biases"] is False:
        size = interval_text((-high, -low), ".1%")
        return f"The model is worse than {_BIASES}: its RMSE is {size} higher {level}."
    size = interval_text((-high, -low), "+.1%")
    return f"The model is about as good as {_BIASES}: its RMSE differs by {size} {level}."


def _mean_text(beats_biases: bool | None, gain: Interval | None) -> str:
    """Return the sentence on a model that is worse than a constant, as on random ratings."""
    low, high = gain or (0.0, 0.0)
    size = interval_text((-high, -low), ".1%")
    it = "It is also" if beats_biases is False else "But it is"
    return f"{it} worse than {_MEAN}: its RMSE is {size} higher."


def _rankings_text(better: bool | None, ends: Interval, whose: str = "Its rankings") -> str:
    if ends == _SAME:
        return f"{whose} are the same as {_POPULAR}."
    if better is None:
        size = interval_text(ends, "+.4f")
        return f"{whose} are about as good as {_POPULAR}: NDCG differs by {size}."
    than, side = ("better", "higher") if better else ("worse", "lower")
    size = interval_text(ends if better else (-ends[1], -ends[0]))
    return f"{whose} are {than} than {_POPULAR}: NDCG is {size} {side}."


def _folds_text(what: str, name: str, baseline: str, folds: Sequence[Verdict]) -> str:
    values = [fold.better[name] for fold in folds]
    better, worse = values.count(True), values.count(False)
    return f"{what} better than {baseline} in {better} of {len(folds)} folds and worse in {worse}"


def _advice(better: Mapping[str, bool | None], training: Settings) -> list[str]:
    """Return what to try for a model that is not better than all baselines."""
    if all(better.values()):
        return []
    if "biases" not in better:
        return [f"Try the settings of {_FOR_RANKING}, or search with mfcli tune --for ranking."]
    if better["mean"] and better["biases"]:  # only its rankings are not better
        return [f"For better rankings, try the settings of {_FOR_RANKING}."]
    if training.get("optimizer") != "gibbs":
        return ["Try the settings of mfcli init."]
    return ["Try more epochs, or search for settings with mfcli tune."]
