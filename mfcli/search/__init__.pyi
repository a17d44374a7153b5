from .outcome import (
    SEARCHED as SEARCHED,
    Candidate as Candidate,
    better_candidate as better_candidate,
    first_settings as first_settings,
    found_candidate as found_candidate,
    importance_of as importance_of,
    recommended_candidate as recommended_candidate,
    recommended_config as recommended_config,
    space_for as space_for,
    summary as summary,
)
from .recommended import advise as advise, title_of as title_of
from .search import Search as Search
from .spaces import (
    descent_space as descent_space,
    read_space as read_space,
    sampling_space as sampling_space,
    settings_from as settings_from,
)
from .trials import Attempt as Attempt
from .tuning import Tuned as Tuned, tune as tune
from .validation import with_validation as with_validation
