"""Work on several machines with Ray: stateless tasks, and workers that keep data."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
