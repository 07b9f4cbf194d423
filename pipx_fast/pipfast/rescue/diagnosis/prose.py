"""Sentences in which a build script asks for a module."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipfast.requirements import canonicalize_name
from pipfast.rescue.diagnosis.import_names import reviewed

if TYPE_CHECKING:
    from collections.abc import Set

_SPELLINGS = (("pytorch", "torch"), ("opencv", "cv2"), ("pillow", "PIL"), ("beautifulsoup", "bs4"))
"""Names for a module in sentences that are neither its own nor its distribution's."""

_WORD = r"['\"`]?(?P<word>[A-Za-z_][\w.-]*\w)['\"`]?"

_KIND = r"(?:\s+(?:package|module|library))?"

_ASKING = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # e.g. `please install PyTorch first`, `You need to install the python package numpy`,
        # `pip install 'Cython>=3'`, `Could not import numpy`; never a line of code, `import torch`
        r"\b(?:install|needs?|requires?|missing|without"
        r"|(?:could not|cannot|can't|unable to|failed to) (?:import|find))\s+"
        r"(?:(?:the|a|python|package|module|library|have)\s+)*['\"`]?(?P<word>[A-Za-z_][\w.-]*\w)",
        # e.g. `Cython is required to build`
        _WORD + _KIND + r"\s+(?:(?:is|are|was)\s+)?(?:required|needed|missing|unavailable)\b",
        # e.g. `numpy not found`, `The 'numpy' package is not installed`
        _WORD + _KIND + r"\s+(?:(?:is|are|was)\s+)?not\s+(?:installed|found|importable|available|present)\b",
        # e.g. `OpenCV must be installed`, `torch could not be imported`
        _WORD + _KIND + r"\s+(?:must|should|needs?\s+to|has\s+to|could\s+not|cannot)\s+be\s+"
        r"(?:installed|found|imported|available|present)\b",
        # e.g. `Missing dependency: numpy`
        r"\b(?:missing|required)\s+(?:\w+\s+)?(?:dependency|dependencies|requirement|package|module)s?\s*:\s*"
        + _WORD,
    )
)


def module_asked_for(line: str, sought: Set[str]) -> str | None:
    """Return the one module out of ``sought`` that a sentence asks for, or None.

    :param sought: top-level modules that a process of the build looked for and did not find.
    """
    if not sought:
        return None
    words = {module.lower(): module for module in sought}
    for module in sorted(sought):
        distribution = reviewed(module)
        if distribution is not None:
            words.setdefault(canonicalize_name(distribution), module)
    for spelling, module in _SPELLINGS:
        if module in sought:
            words.setdefault(spelling, module)
    for pattern in _ASKING:
        for found in pattern.finditer(line):
            word = found["word"].rstrip(".")
            module = words.get(word.lower()) or words.get(canonicalize_name(word))  # type: ignore[assignment]
            if module is not None:
                return module
    return None
