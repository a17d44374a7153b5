from .rating_values import ValueBin as ValueBin
from .report import Report as Report, check as check, serious_warnings as serious_warnings
from .warnings import DataWarning as DataWarning
