"""Training: the epoch loop, its engines, checkpoints and histories.

Only engines change weights. An option or optimizer that does something else to them belongs in
`sgd/engine.py` and `keras.py`, which tests compare, or in `gibbs/engine.py`. `averaging.py` and
`ensemble.py` are engines too: they combine the models of others. `plan.py` chooses an engine,
`factory.py` builds it, and `loop.py` runs it without knowing which one it is.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
