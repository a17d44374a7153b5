"""The messages of TensorBoard that scalars and settings need, in its present formats.

Their fields are in the files `event.proto` and `summary.proto` of TensorBoard, and in
`plugin_data.proto` of its plugin `hparams`. Scalars are tensors of no dimension, as
`tf.summary.scalar` of TensorFlow 2 writes them.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Any

from mfcli.events.protobuf import double, integer, message, single, text

_FLOAT, _SCALAR = 1, 1  # of the enumerations DataType and DataClass
_STARTED = 1  # of SessionLog.SessionStatus
_SUCCESS, _FAILURE = 1, 2  # of the enumeration Status of the plugin
_START_TAG, _END_TAG = "_hparams_/session_start_info", "_hparams_/session_end_info"


def version_event() -> bytes:
    """Return the first event of a file."""
    return _event(0, text(3, "brain.Event:2"))


def start_event(step: int) -> bytes:
    """Return an event that says at which step a training starts, or starts again.

    From the second one in a folder on, TensorBoard drops what it has read about this step and
    those after it.
    """
    return _event(step, message(7, integer(1, _STARTED)))


def scalars_event(step: int, values: Mapping[str, float]) -> bytes:
    """Return the values of scalars at a step, by tag."""
    return _summary_event(step, [_scalar(tag, value) for tag, value in values.items()])


def settings_event(settings: Mapping[str, Any], group: str) -> bytes:
    """Return the settings of a training; trainings with the same group are shown as one."""
    entries = [
        message(1, text(1, name), message(2, _value(value)))  # an entry of a map
        for name, value in settings.items()
    ]
    info = message(3, *entries, text(4, group), double(5, time.time()))
    return _summary_event(0, [_plugin_value(_START_TAG, info)])


def end_event(*, failed: bool) -> bytes:
    """Return the end of a training."""
    info = message(4, integer(1, _FAILURE if failed else _SUCCESS), double(2, time.time()))
    return _summary_event(0, [_plugin_value(_END_TAG, info)])


def _event(step: int, content: bytes) -> bytes:
    return double(1, time.time()) + integer(2, step) + content


def _summary_event(step: int, values: list[bytes]) -> bytes:
    return _event(step, message(5, *(message(1, value) for value in values)))


def _scalar(tag: str, value: float) -> bytes:
    metadata = message(9, message(1, text(1, "scalars")), integer(4, _SCALAR))
    # An empty shape: the tensor has no dimension.
    tensor = message(8, integer(1, _FLOAT), message(2), single(5, value))
    return text(1, tag) + metadata + tensor


def _plugin_value(tag: str, info: bytes) -> bytes:
    """Return data of the plugin, which is all in the metadata; the tensor is empty."""
    metadata = message(9, message(1, text(1, "hparams"), message(2, info)))
    empty = message(8, integer(1, _FLOAT), message(2, message(2, integer(1, 0))))
    return text(1, tag) + metadata + empty


def _value(value: Any) -> bytes:
    """Return a `google.protobuf.Value`."""
    if isinstance(value, bool):
        return integer(4, value)
    if isinstance(value, int | float) and math.isfinite(value):
        return double(2, value)
    return text(3, value if isinstance(value, str) else json.dumps(value))
