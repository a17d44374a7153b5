from .recommended import advise as advise, title_of as title_of
from .spaces import (
    Attempt as Attempt,
    default_space as default_space,
    read_space as read_space,
    settings_from as settings_from,
)
from .tuning import LARGE as LARGE, Search as Search, with_validation as with_validation
