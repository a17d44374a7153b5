from .baseline_metrics import BASELINES as BASELINES
from .bootstrap import interval_text as interval_text
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
from .comparison_files import (
    check_comparison_suffix as check_comparison_suffix,
    write_comparison as write_comparison,
)
from .comparison_rows import (
    ComparisonRow as ComparisonRow,
    comparison_rows as comparison_rows,
    comparison_title as comparison_title,
)
from .cross_validation import CrossValidation as CrossValidation, cross_validate as cross_validate
from .measures import (
    BEYOND as BEYOND,
    MEASURES as MEASURES,
    RANKING as RANKING,
    RATING_ERROR as RATING_ERROR,
    UNCERTAINTY as UNCERTAINTY,
    Measure as Measure,
    at_cutoff as at_cutoff,
    measure_of as measure_of,
    measures_of as measures_of,
)
from .metrics import (
    FoldMetrics as FoldMetrics,
    Metrics as Metrics,
    Overlap as Overlap,
    Protocol as Protocol,
)
from .metrics_files import (
    METRICS_FILE as METRICS_FILE,
    is_metrics as is_metrics,
    looks_like_metrics as looks_like_metrics,
    metrics_file as metrics_file,
    metrics_in as metrics_in,
    metrics_name as metrics_name,
    read_metrics as read_metrics,
)
from .model_evaluation import (
    RANKING_SETTINGS as RANKING_SETTINGS,
    evaluate as evaluate,
    ranks_only as ranks_only,
)
from .names_of_runs import run_names as run_names
from .ranking_breakdown import (
    RankedGroup as RankedGroup,
    RankingBreakdown as RankingBreakdown,
)
from .verdict import Verdict as Verdict
