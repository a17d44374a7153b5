"""Loading a model while another one is served."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from mfcli.errors import MfcliError
from mfcli.server.answers import Health
from mfcli.server.served_model import ServedModel
from mfcli.server.warming import warm
from mfcli.storage import trim_memory

_LOG = logging.getLogger("mfcli.server")


class Loader:
    """Holds the model that is served, and replaces it.

    Parameters
    ----------
    load : callable
        Returns a model, or raises an `MfcliError`.

    Attributes
    ----------
    served : Future of ServedModel
        The model that is served now. It has an error if the first one could not be loaded.
    is_warm : bool
        Whether all that requests need is compiled.
    """

    def __init__(self, load: Callable[[], ServedModel]) -> None:
        self.served: Future[ServedModel] = Future()
        self.served.set_running_or_notify_cancel()  # a request that is dropped must not cancel it
        self._load, self._started, self.is_warm = load, time.monotonic(), False
        self._lock, self._is_asked = threading.Lock(), False

    def start(self) -> None:
        """Load a model in another thread.

        If one is being loaded, it is loaded again afterwards, because it may be an older one.
        """
        if self._is_asked:  # a thread that waits for another one will read the files later
            return
        self._is_asked = True
        self._thread = threading.Thread(target=self._run, name="loading", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the last load has ended."""
        self._thread.join()

    async def current(self) -> ServedModel:
        """Return the model that is served now; wait until there is one."""
        served = self.served
        return served.result() if served.done() else await asyncio.wrap_future(served)

    def health(self) -> Health:
        """Return the state of the server."""
        uptime = round(time.monotonic() - self._started, 3)
        if not self.served.done() or self.served.exception():
            return Health("loading", None, uptime)
        return Health("ok", self.served.result().digest, uptime)

    def _run(self) -> None:
        with self._lock:
            self._is_asked = False
            if self.served.done():
                self._replace()
            else:
                self._load_first()

    def _load_first(self) -> None:
        try:
            found = self._load()
        except BaseException as error:
            self.served.set_exception(error)
            return
        self.served.set_result(found)  # requests may be slow until everything is compiled
        with contextlib.suppress(Exception):  # requests that meet it say what it is
            warm(found)
        self.is_warm = True

    def _replace(self) -> None:
        try:
            found = self._load()
            warm(found)
        except Exception as error:
            reason = str(error) if isinstance(error, MfcliError | OSError) else repr(error)
            _LOG.warning("the earlier model is served on, because the new one failed: %s", reason)
            return
        ready: Future[ServedModel] = Future()
        ready.set_result(found)
        self.served = ready  # at once; requests that have begun keep the earlier one
        trim_memory()
