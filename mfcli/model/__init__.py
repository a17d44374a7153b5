"""The factorization, its Keras network and file, top-n items, and fold-in of new users."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
