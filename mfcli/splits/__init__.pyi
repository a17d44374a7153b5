from .folder import (
    describe_split as describe_split,
    folds_of as folds_of,
    read_split as read_split,
    split_hash as split_hash,
    write_folds as write_folds,
    write_split as write_split,
)
from .holdout import (
    PARTS as PARTS,
    Split as Split,
    assembled as assembled,
    check_parts as check_parts,
    split as split,
    split_given as split_given,
)
from .strategies import at_random as at_random
