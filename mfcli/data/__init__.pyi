from .arrow_arrays import (
    to_arrow as to_arrow,
    to_arrow_mask as to_arrow_mask,
    to_numpy as to_numpy,
    to_texts as to_texts,
)
from .arrow_files import (
    pieces_in_turn as pieces_in_turn,
    read_ratings_arrow as read_ratings_arrow,
    read_vocabulary as read_vocabulary,
    write_ratings as write_ratings,
    write_vocabulary as write_vocabulary,
)
from .arrow_ranges import read_columns as read_columns
from .buckets import NO_PART as NO_PART, Buckets as Buckets
from .column_sums import column_sum as column_sum, pairwise_sum as pairwise_sum
from .compression import selected_counts as selected_counts
from .duplicates import merge_duplicates as merge_duplicates
from .faults import SkippedRows as SkippedRows
from .feedback import (
    EXPLICIT as EXPLICIT,
    IMPLICIT as IMPLICIT,
    common_feedback as common_feedback,
    rows_of as rows_of,
)
from .formats.columns import PAIRS as PAIRS
from .formats.layout import Layout as Layout
from .formats.numbers import is_number as is_number
from .formats.parts import find_layout as find_layout
from .formats.text import Refused as Refused
from .frames import is_table as is_table
from .given_ratings import pairs_from as pairs_from, ratings_from as ratings_from
from .id_lists import read_ids as read_ids
from .id_tables import TextTable as TextTable
from .ids import Ids as Ids, id_array as id_array, plain_integers as plain_integers
from .pair_files import (
    PairPiece as PairPiece,
    header_with as header_with,
    read_pairs as read_pairs,
    schema_with as schema_with,
)
from .rating_arguments import as_pairs as as_pairs, as_ratings as as_ratings
from .rating_files import read_buckets as read_buckets, read_ratings as read_ratings
from .ratings import (
    Columns as Columns,
    Counted as Counted,
    CountedColumns as CountedColumns,
    RatedValues as RatedValues,
    Ratings as Ratings,
    RatingsLike as RatingsLike,
    Source as Source,
    concatenated as concatenated,
    joined_ratings as joined_ratings,
    pieces_of as pieces_of,
)
from .row_places import place_of as place_of
from .scales import Scale as Scale, scale_of as scale_of
from .side_tables import side_names as side_names
from .sizes import MANY as MANY
from .sources import EmptyFileError as EmptyFileError, open_sources as open_sources
from .surveys import Survey as Survey, survey_ratings as survey_ratings
from .table_files import (
    check_table_suffix as check_table_suffix,
    csv_bytes as csv_bytes,
    csv_parts as csv_parts,
    guarded as guarded,
    guarded_text as guarded_text,
    joined_tables as joined_tables,
    write_tables as write_tables,
)
from .time_units import UNITS as UNITS, unit_of as unit_of
from .times import PLAUSIBLE as PLAUSIBLE
from .titles import read_titles as read_titles
from .value_counts import counted_values as counted_values, value_counts as value_counts
from .vocabulary import (
    Translation as Translation,
    Vocabulary as Vocabulary,
    counts_of as counts_of,
    find_rows as find_rows,
    found_as_text as found_as_text,
    positions as positions,
    united as united,
    unknown_id as unknown_id,
)
