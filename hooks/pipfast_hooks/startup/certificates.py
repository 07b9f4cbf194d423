"""pip's certificate authorities, read for the first connection.

Reading the bundle takes some 20 ms of every command, also of those that open no connection, or none with TLS.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipfast.report import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipfast_hooks.call import Call

_USES = ("wrap_socket", "wrap_bio", "get_ca_certs", "cert_store_stats", "load_default_certs")
"""Methods of an ``ssl.SSLContext`` that use certificates, or add to them, but for the one that waits."""


def _around_create_context(call: Call) -> Any:
    """Have pip make its context, but for reading the bundle."""
    truststore: Any = None
    with suppress(ImportError):
        truststore = import_module("pip._vendor.truststore")
    if truststore is None:
        # Without the ssl module pip goes on, and warns.
        return call.original()
    stock = truststore.SSLContext
    truststore.SSLContext = _late(stock)
    try:
        return call.original()
    finally:
        truststore.SSLContext = stock


def _late(stock: Any) -> Any:
    """Return a subclass whose first ``load_verify_locations`` waits for what needs it."""
    # Several connections may be opened at once.
    loading = threading.Lock()

    class SSLContext(stock):  # type: ignore[misc]
        _pipfast_waits: str | None = None

        def load_verify_locations(self, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
            # Anything but a file that is there and can be read is answered at once, in its own words.
            if self._pipfast_waits is None and _is_readable(cafile) and capath is None and cadata is None:
                self._pipfast_waits = cafile
            else:
                self._pipfast_load()
                stock.load_verify_locations(self, cafile, capath, cadata)

        def _pipfast_load(self) -> None:
            with loading:
                if self._pipfast_waits:
                    stock.load_verify_locations(self, self._pipfast_waits, None, None)
                    logger.debug("pipfast: certificates are read from %s", self._pipfast_waits)
                # What is added from now on is added at once.
                self._pipfast_waits = ""

    def using(name: str) -> Callable[..., Any]:
        def use(self: Any, *args: Any, **kwargs: Any) -> Any:
            self._pipfast_load()
            return getattr(stock, name)(self, *args, **kwargs)

        return use

    for name in _USES:
        setattr(SSLContext, name, using(name))
    return SSLContext


def _is_readable(cafile: Any) -> bool:
    try:
        return os.path.isfile(cafile) and os.access(cafile, os.R_OK)
    except TypeError:
        return False
