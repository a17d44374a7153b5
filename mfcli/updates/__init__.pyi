from .continuation import Continuation as Continuation
from .places import Places as Places, places_of as places_of
from .run import (
    Outcome as Outcome,
    UpdatableRun as UpdatableRun,
    locked_places as locked_places,
)
from .update import Updated as Updated, update as update
