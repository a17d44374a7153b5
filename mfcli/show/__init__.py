"""Find the folders and files that mfcli wrote, and describe their contents."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
