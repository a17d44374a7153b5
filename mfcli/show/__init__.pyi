from .facts import (
    changed as changed,
    defaults_beside as defaults_beside,
    facts_of as facts_of,
    split_beside as split_beside,
)
from .finding import Artifact as Artifact, find as find
from .installed import versions as versions
from .settings import described_settings as described_settings
