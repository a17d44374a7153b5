from .report import HtmlReport as HtmlReport, report as report
