from .forecast import (
    Forecast as Forecast,
    Input as Input,
    Needed as Needed,
    Output as Output,
)
from .rating_values import ValueBin as ValueBin
from .report import Report as Report, check as check, serious_warnings as serious_warnings
from .search_forecast import SearchFiles as SearchFiles, forecast_search as forecast_search
from .split_forecast import forecast_split as forecast_split
from .training_forecast import Training as Training, forecast_training as forecast_training
from .warnings import DataWarning as DataWarning
