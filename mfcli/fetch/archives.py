"""The MovieLens archives that can be fetched, and what to cite."""

from __future__ import annotations

BASE = "https://files.grouplens.org/datasets/movielens/"
TERMS = "https://grouplens.org/datasets/movielens/"
CITATION = (
    "F. M. Harper and J. A. Konstan. 2015. The MovieLens Datasets: History and Context."
    " ACM TiiS 5, 4: 19:1-19:19. https://doi.org/10.1145/2827872"
)

RATINGS = {
    "ml-latest-small": "ml-latest-small/ratings.csv",
    "ml-100k": "ml-100k/u.data",
    "ml-1m": "ml-1m/ratings.dat",
    "ml-10m": "ml-10M100K/ratings.dat",
    "ml-20m": "ml-20m/ratings.csv",
    "ml-25m": "ml-25m/ratings.csv",
    "ml-32m": "ml-32m/ratings.csv",
}
"""The ratings file of each archive, in the one folder that the archive holds."""

TITLES = {
    "ml-latest-small": "movies.csv",
    "ml-100k": "u.item",
    "ml-1m": "movies.dat",
    "ml-10m": "movies.dat",
    "ml-20m": "movies.csv",
    "ml-25m": "movies.csv",
    "ml-32m": "movies.csv",
}
"""The file of titles of each archive, beside the ratings."""

NAMES = tuple(RATINGS)

# GroupLens may replace ml-latest-small; the MD5 beside that archive counts. The others are fixed.
SHA256 = {
    "ml-100k": "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
    "ml-1m": "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
    "ml-10m": "813c411ccb6122564edfe752e7f80c4dcc5aa25fa94c93622f6877a7ba252862",
    "ml-20m": "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
    "ml-25m": "8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa",
    "ml-32m": "e4a68655d7386b8f95f2f2424b2ff975dfdd15ffd59e0d864a14dca43e99d6ee",
}
