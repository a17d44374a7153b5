from .formulas import guarded as guarded
from .layout import (
    PAIRS as PAIRS,
    Layout as Layout,
    find_layout as find_layout,
    is_number as is_number,
)
from .lookup import find_rows as find_rows, unknown_text as unknown_text
from .pairs import (
    Piece as Piece,
    Pieces as Pieces,
    Refused as Refused,
    header_with as header_with,
    read_pairs as read_pairs,
    reread_pairs as reread_pairs,
    schema_with as schema_with,
)
from .ratings import (
    Ids as Ids,
    Ratings as Ratings,
    Scale as Scale,
    Source as Source,
    Vocabulary as Vocabulary,
    concatenated as concatenated,
    id_array as id_array,
    places as places,
    read_ratings_arrow as read_ratings_arrow,
    read_vocabulary as read_vocabulary,
    to_arrow as to_arrow,
    to_numpy as to_numpy,
    to_texts as to_texts,
    united as united,
    write_ratings as write_ratings,
    write_vocabulary as write_vocabulary,
)
from .reading import ratings_from as ratings_from, read_ratings as read_ratings
from .sources import File as File, open_sources as open_sources
from .strict import line_of as line_of
from .tables import (
    check_table_suffix as check_table_suffix,
    csv_bytes as csv_bytes,
    read_ids as read_ids,
    read_titles as read_titles,
    write_table as write_table,
)
