"""Biased matrix-factorization recommenders from a file of ratings."""

__version__ = "0.1.0"
