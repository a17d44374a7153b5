"""Measure rankings: formulas, the relevant items of users, and validation after each epoch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
