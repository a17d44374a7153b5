from .archives import NAMES as NAMES
from .movielens import Fetched as Fetched, fetch_movielens as fetch_movielens
