"""The pip under test, and what an older one cannot do."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Mapping

PIP = Version(version("pip"))

IN_ORDER: Mapping[str, str] = (
    {"_PIP_USE_IMPORTLIB_METADATA": "1"} if Version("23.1") > PIP and sys.version_info < (3, 11) else {}
)
"""Variables with which pip takes a distribution's requirements in one order in each run: the pkg_resources of old
pips keeps them in a set, and their hashes depend on where in memory something is."""


def plain(text: str) -> str:
    """Return what pip says in an error, without the markup that 26.0 and 26.1 leave in the usage there."""
    # e.g. `[optparse.groups]Usage:[/]   ` and, below it, `  pip list \[options]`
    if "[optparse.groups]" not in text:
        return text
    return text.replace("[optparse.groups]", "").replace("[/]", "").replace("\\[", "[")


def since(number: str, reason: str) -> pytest.MarkDecorator:
    """Return the mark of tests that are for this pip and later ones.

    :param reason: what earlier ones do instead.
    """
    return pytest.mark.skipif(Version(number) > PIP, reason=reason)
