"""Biased matrix-factorization recommenders from a file of ratings.

    import mfcli

    parts = mfcli.split(mfcli.read_ratings("data.csv"), mfcli.Config(valid=0.1))
    fitted = mfcli.fit(parts, mfcli.Config(reg=1e-4))
    metrics = mfcli.evaluate(fitted.model, parts, ranking=True)

The names are listed in `__init__.pyi`. They are loaded when they are first used.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]


def __dir__() -> list[str]:
    return sorted(__all__)
