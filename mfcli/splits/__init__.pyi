from .changes import Changes as Changes, TakenFile as TakenFile
from .division import Division as Division
from .extents import Extent as Extent
from .folder import (
    SPLIT_FILES as SPLIT_FILES,
    SPLIT_FOLDER as SPLIT_FOLDER,
    describe_split as describe_split,
    folds_of as folds_of,
    read_folds as read_folds,
    read_split as read_split,
    split_hash as split_hash,
    split_hashes as split_hashes,
    split_parent as split_parent,
    write_split as write_split,
)
from .folds import DividedFolds as DividedFolds, Folds as Folds
from .keys import held_out_rows as held_out_rows
from .parts import (
    PARTS as PARTS,
    Split as Split,
    assembled as assembled,
    check_parts as check_parts,
    ratings_of as ratings_of,
)
from .places import hash_at as hash_at, split_folder as split_folder
from .records import REJECTED as REJECTED, ScaleSection as ScaleSection
from .revisions import Revision as Revision
from .splitting import (
    divide as divide,
    divide_given as divide_given,
    split as split,
    split_given as split_given,
)
from .strategies import check_strategy as check_strategy
from .updating import check_updatable as check_updatable, revised as revised
