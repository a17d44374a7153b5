from .asset_files import asset as asset
from .bar_charts import bar_chart as bar_chart
from .charts import (
    Axis as Axis,
    Bars as Bars,
    Chart as Chart,
    Interval as Interval,
    Line as Line,
)
from .documents import document as document
from .interval_charts import interval_chart as interval_chart
from .line_charts import line_chart as line_chart
from .plain_text import is_long as is_long, isolated as isolated, shortened as shortened
from .templating import rendered as rendered
