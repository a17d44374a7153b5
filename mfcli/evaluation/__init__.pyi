from .comparison import Comparison as Comparison, compare as compare
from .metrics import FoldMetrics as FoldMetrics, Metrics as Metrics, evaluate as evaluate
from .ranking import RankingMetrics as RankingMetrics
from .records import (
    SavedMetrics as SavedMetrics,
    is_metrics as is_metrics,
    looks_like_metrics as looks_like_metrics,
    read_metrics as read_metrics,
)
