"""Measurements of `examples/benchmark.py`, one idea in each module."""
