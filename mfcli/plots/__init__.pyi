from .canvas import DPI as DPI, Size as Size, check_suffix as check_suffix
from .comparison import plot_comparison as plot_comparison
from .histories import plot_histories as plot_histories
from .metrics import plot_metrics as plot_metrics
from .results import plot as plot
from .search import plot_search as plot_search
