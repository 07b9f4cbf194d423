"""Environment of each test, and an index with fake torches and sources that build against them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.program import make_box
from support.sources import archive, seeing, torch
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Index
    from support.program import Box
    from support.wheels import Archive


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """Return an environment that nothing is installed in."""
    return make_box(tmp_path)


def needing_torch(name: str, *stages: str, version: str = "1.0") -> Archive:
    """Return a source distribution that writes the torch it saw at each stage into its wheel."""
    return archive(name, version, scripts={stage: seeing("torch", name) for stage in stages})


@pytest.fixture(scope="session")
def index() -> Iterator[Index]:
    """Serve torch 1.0 and 2.0, sources that need them, and what must never be asked for."""
    with serving() as server:
        index = server.index()
        index.add(
            torch("1.0", "beside"), torch("2.0", "beside"),
            Wheel("beside", "5.0", files={"beside.py": "version = 5\n"}).build(),
            Wheel("unknown", "1.0", files={"unknown.py": ""}).build(),
            needing_torch("needy", "requires", "metadata", "wheel"),
            needing_torch("late", "wheel"),
            archive("strange", scripts={"requires": "import unknown\n"}),
            archive("liar", scripts={"requires": (
                "import sys\nsys.exit(\"ModuleNotFoundError: No module named 'torch'\")\n"
            )}),
            archive("swallowing", scripts={"requires": "try:\n    import torch\nexcept ImportError:\n    pass\n"}),
            archive("sibling", scripts={"requires": (
                "import importlib.util\nassert importlib.util.find_spec('torch') is None\n"
            )}),
            archive("prose", scripts={"requires": (
                "import sys\ntry:\n    import torch\nexcept ImportError as error:\n"
                "    sys.exit(f'please install PyTorch first: {error}')\n"
            )}),
            archive("compiled", scripts={"requires": "import sys\nsys.exit('error: command gcc failed')\n"}),
        )
        yield index
