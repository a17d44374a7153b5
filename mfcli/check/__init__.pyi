from .report import Report as Report, check as check
