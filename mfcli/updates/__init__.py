"""Updates: new ratings, users and items for a split and its model, without starting over."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
