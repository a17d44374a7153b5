"""Download MovieLens data sets: checked, unpacked, and complete or absent."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
