from .checkpoints import (
    CHECKPOINT_FOLDER as CHECKPOINT_FOLDER,
    Checkpoint as Checkpoint,
    Keeper as Keeper,
    read_checkpoint as read_checkpoint,
    resumed as resumed,
)
from .engines import Plan as Plan, make_plan as make_plan, training_memory as training_memory
from .history import (
    HISTORY_FILE as HISTORY_FILE,
    MSE_NAMES as MSE_NAMES,
    Epoch as Epoch,
    History as History,
)
from .loop import (
    MODEL_FOLDER as MODEL_FOLDER,
    Diverged as Diverged,
    Fit as Fit,
    check_writable as check_writable,
    fit as fit,
)
from .sgd.kernels import kind_of as kind_of, shared_kernels as shared_kernels
