"""pip's certificate authorities, read for the first connection.

Reading the bundle takes some 20 ms, which commands without a TLS connection save.
"""

from __future__ import annotations

import os
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipfast.report import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipfast_hooks.call import Call

_USES = ("wrap_socket", "wrap_bio", "get_ca_certs", "cert_store_stats", "load_default_certs")
"""Methods of ``ssl.SSLContext`` that use or add certificates, besides ``load_verify_locations``."""


def _around_create_context(call: Call) -> Any:
    """Let pip make its context without reading the bundle."""
    try:
        truststore: Any = import_module("pip._vendor.truststore")
    except ImportError:
        # Without the ssl module pip warns and goes on.
        return call.original()
    stock = truststore.SSLContext
    truststore.SSLContext = _late(stock)
    try:
        return call.original()
    finally:
        truststore.SSLContext = stock


def _late(stock: Any) -> Any:
    """Return a subclass that reads its certificates at their first use."""
    # Several connections may be opened at once.
    loading = threading.Lock()

    class SSLContext(stock):  # type: ignore[misc]
        _pipfast_waits: str | None = None

        def load_verify_locations(self, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
            # Only a readable file can wait: anything else fails at once, in its own words.
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
                # Later additions are made at once.
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
