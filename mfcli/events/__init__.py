"""Events of a training while it runs: logs of JSON lines, files for TensorBoard, readers.

    from mfcli.events import EventLog, TensorBoard, followed

    with (
        EventLog("events.jsonl") as log,
        TensorBoard("tensorboard") as board,
        followed(parts, config, log, board) as training,
    ):
        fitted = mfcli.fit(parts, config, **training.hooks)
        training.result(fitted)

Any object with a method `take`, which gets each event as a dict, can follow a training.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
