"""Inflating: isal's inflater, or zlib's where isal cannot be used."""

from __future__ import annotations

import zlib
from typing import Any

from pipfast import dependencies
from pipfast.report import logger

inflater: Any = zlib
version: str | None = None

try:
    # It has zlib's interface and takes less than half the time.
    _isal = dependencies.load("isal", "isal_zlib")
    inflater = _isal.isal_zlib
    version = str(_isal.__version__)
except Exception as error:
    # zlib can do the same, whatever the error was.
    logger.debug("pipfast: inflating with zlib (%s)", error)
