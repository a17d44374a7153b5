from .application import (
    LOCAL as LOCAL,
    Application as Application,
    application as application,
)
from .running import serve as serve
