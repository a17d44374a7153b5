from .formats import FORMATS as FORMATS, check_request as check_request, export as export
