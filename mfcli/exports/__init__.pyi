from .exporter import Exported as Exported, check_request as check_request, export as export
from .formats import FORMATS as FORMATS
