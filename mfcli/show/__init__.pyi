from .facts import changed as changed, facts_of as facts_of
from .finding import Artifact as Artifact, find as find
from .installed import versions as versions
