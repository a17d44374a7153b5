from .default_search import SEARCHED as SEARCHED
from .outcome import (
    Candidate as Candidate,
    better_candidate as better_candidate,
    found_candidate as found_candidate,
    importance_of as importance_of,
    recommended_candidate as recommended_candidate,
    summary as summary,
)
from .purposes import (
    PURPOSES as PURPOSES,
    purpose_of as purpose_of,
)
from .recommended import (
    advise as advise,
    init_command as init_command,
    recommended_config as recommended_config,
    title_of as title_of,
)
from .search import Search as Search
from .search_plan import SearchPlan as SearchPlan, plan_search as plan_search
from .spaces import read_space as read_space, settings_from as settings_from
from .trials import Attempt as Attempt
from .tuning import Tuned as Tuned, tune as tune
from .validation import with_validation as with_validation
