from .event import Event as Event
from .event_log import EventLog as EventLog
from .following import (
    Followed as Followed,
    Follower as Follower,
    followed as followed,
    run_name as run_name,
)
from .logged import (
    LoggedTraining as LoggedTraining,
    LogReader as LogReader,
    is_log as is_log,
    named_histories as named_histories,
    read_log as read_log,
)
from .tensorboard import TensorBoard as TensorBoard
