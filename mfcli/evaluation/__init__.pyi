from .breakdown import (
    GROUPS as GROUPS,
    ActivityError as ActivityError,
    Breakdown as Breakdown,
    CalibrationPoint as CalibrationPoint,
    MonthError as MonthError,
    RatingError as RatingError,
    Residuals as Residuals,
)
from .comparison import Comparison as Comparison, compare as compare
from .cross_validation import CrossValidation as CrossValidation, cross_validate as cross_validate
from .measures import (
    MEASURES as MEASURES,
    RANKING as RANKING,
    RATING_ERROR as RATING_ERROR,
    Measure as Measure,
    measures_of as measures_of,
)
from .metrics import FoldMetrics as FoldMetrics, Metrics as Metrics, Overlap as Overlap
from .metrics_files import (
    METRICS_FILE as METRICS_FILE,
    is_metrics as is_metrics,
    looks_like_metrics as looks_like_metrics,
    metrics_file as metrics_file,
    read_metrics as read_metrics,
)
from .model_evaluation import evaluate as evaluate
from .names_of_runs import run_names as run_names
