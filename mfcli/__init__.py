"""Biased matrix-factorization recommenders from a file of ratings.

    import mfcli

    parts = mfcli.split("data.csv", mfcli.Config(valid=0.1))  # or a data frame, Arrow, arrays
    fitted = mfcli.fit(parts, mfcli.Config(reg=1e-4))
    metrics = mfcli.evaluate(fitted.model, parts, ranking=True)
    table = mfcli.recommend(fitted.model, 42, exclude=parts)

The names are listed in `__init__.pyi`. They are loaded when they are first used.
`mfcli.sklearn` has an estimator for scikit-learn.
"""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # Not imported at once: Ctrl-C cannot be handled while `python -m mfcli` runs this file.
    import lazy_loader

    load, _, names = lazy_loader.attach_stub(__name__, __file__)
    globals().update(__getattr__=load, __all__=[*names, "__version__"])
    return globals()["__all__"] if name == "__all__" else load(name)


def __dir__() -> list[str]:
    from mfcli import __all__

    return sorted(__all__)
