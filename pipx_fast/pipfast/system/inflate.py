"""The inflater: isal's where it can be used, else the standard library's, which it takes the place of."""

from __future__ import annotations

import zlib
from typing import Any

from pipfast import dependencies
from pipfast.report import logger

inflater: Any = zlib
version: str | None = None
"""isal's, where it is used."""

try:
    # The same interface, more than twice as fast.
    _isal = dependencies.load("isal", "isal_zlib")
    inflater = _isal.isal_zlib
    version = str(_isal.__version__)
except Exception as error:
    # Whatever is wrong with it: zlib does the same.
    logger.debug("pipfast: inflating with zlib (%s)", error)
