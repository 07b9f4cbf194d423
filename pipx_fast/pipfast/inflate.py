"""The inflater: isal's where it is installed, else the standard library's, which it takes the place of."""

from __future__ import annotations

import zlib
from typing import Any

inflater: Any = zlib
try:
    from isal import isal_zlib

    # The same interface, more than twice as fast.
    inflater = isal_zlib
except ImportError:
    pass
