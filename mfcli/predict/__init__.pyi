from .id_finder import IdFinder as IdFinder
from .list_reading import ListReading as ListReading
from .listed_titles import (
    ListedTitles as ListedTitles,
    with_title_columns as with_title_columns,
    with_titles as with_titles,
)
from .named_pairs import predict_named as predict_named
from .pair_counts import PairCounts as PairCounts
from .predicted_files import predict_file as predict_file
from .predictor import Predictor as Predictor
from .ranking_quality import ranking_quality as ranking_quality
from .rated_files import rated_pairs as rated_pairs
from .recommended import recommend as recommend, similar as similar
from .selected_rows import (
    all_rows as all_rows,
    candidates as candidates,
    check_trained as check_trained,
    listed_rows as listed_rows,
    trained_row as trained_row,
)
from .uncertainty import Uncertainty as Uncertainty
