from .current import RETRIES as RETRIES, current_cluster as current_cluster
from .failures import WorkerLostError as WorkerLostError
from .nodes import Node as Node
from .peers import Peers as Peers
from .process_cluster import cluster as cluster
from .processors import Processor as Processor, Processors as Processors
from .references import OBJECT as OBJECT, Reference as Reference
from .running_cluster import Cluster as Cluster
from .workers import Workers as Workers
