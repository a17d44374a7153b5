from .best_epoch import BestEpoch as BestEpoch
from .checkpoints import (
    CHECKPOINT_FILES as CHECKPOINT_FILES,
    CHECKPOINT_FOLDER as CHECKPOINT_FOLDER,
    Checkpoint as Checkpoint,
    Keeper as Keeper,
    check_same_run as check_same_run,
    link_checkpoint as link_checkpoint,
    read_checkpoint as read_checkpoint,
    resumed as resumed,
    write_checkpoint as write_checkpoint,
)
from .continuation import continued as continued, update_epochs as update_epochs
from .fitted import Diverged as Diverged, Fit as Fit
from .history import (
    HISTORY_FILE as HISTORY_FILE,
    MSE_NAMES as MSE_NAMES,
    Epoch as Epoch,
    History as History,
)
from .keras_history import looks_like_history as looks_like_history
from .loop import (
    Hooks as Hooks,
    Prepared as Prepared,
    check_writable as check_writable,
    fit as fit,
    prepare as prepare,
    results_in as results_in,
)
from .plan import (
    Plan as Plan,
    has_effects as has_effects,
    make_plan as make_plan,
    row_size as row_size,
    training_memory as training_memory,
)
from .refit import plan_refit as plan_refit, refit_config as refit_config
from .turning_points import turning_points as turning_points
from .validation_measure import ValidationMeasure as ValidationMeasure
