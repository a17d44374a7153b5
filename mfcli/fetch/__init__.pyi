from .movielens import NAMES as NAMES, Fetched as Fetched
