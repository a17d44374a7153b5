from .canvas import DPI as DPI, Size as Size, check_size as check_size
from .comparison import plot_comparison as plot_comparison
from .histories import plot_histories as plot_histories
from .logs import with_trainings as with_trainings
from .metrics import plot_metrics as plot_metrics
from .picture_formats import check_suffix as check_suffix
from .results import plot as plot
from .search import plot_search as plot_search
