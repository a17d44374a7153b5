from .checks import Report as Report, check as check
from .clusters import cluster as cluster
from .config import Config as Config
from .data import Ratings as Ratings, ratings_from as ratings_from, read_ratings as read_ratings
from .errors import MfcliError as MfcliError, MfcliWarning as MfcliWarning
from .evaluation import (
    Comparison as Comparison,
    CrossValidation as CrossValidation,
    FoldMetrics as FoldMetrics,
    Metrics as Metrics,
    compare as compare,
    cross_validate as cross_validate,
    evaluate as evaluate,
    read_metrics as read_metrics,
)
from .exports import export as export
from .fetch import fetch_movielens as fetch_movielens
from .model import (
    FoldedIn as FoldedIn,
    Model as Model,
    extended as extended,
    fold_in as fold_in,
)
from .plots import plot as plot
from .predict import recommend as recommend, similar as similar
from .reports import HtmlReport as HtmlReport, report as report
from .search import Tuned as Tuned, recommended_config as recommended_config, tune as tune
from .splits import (
    Folds as Folds,
    Split as Split,
    read_folds as read_folds,
    read_split as read_split,
    split as split,
    write_split as write_split,
)
from .storage import resources as resources
from .training import (
    Fit as Fit,
    History as History,
    fit as fit,
    refit_config as refit_config,
)
from .updates import Updated as Updated, update as update

__version__: str
