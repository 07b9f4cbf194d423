"""Rows of the reviewed table against real wheels: a seeded few in each run."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from pipfast.rescue.diagnosis.import_names import modules_of, table
from support.diagnosis import contradiction

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = 8
"""Rows that one run checks: each is one download; `PIPFAST_TABLE_SEED` chooses others."""

_ENVIRON = dict(os.environ)
"""As it was before the tests dropped pip's settings: the packages are real ones."""


@pytest.mark.slow
def test_rows_agree_with_real_wheels(tmp_path: Path) -> None:
    """A wheel's own list of files has the module that the table says it has."""
    rows = sorted((module, name) for module, name in table().items() if module not in ("pkg_resources", "pylab"))
    chosen = random.Random(os.environ.get("PIPFAST_TABLE_SEED", "0")).sample(rows, SAMPLE)
    checked = {}
    for module, name in chosen:
        folder = tmp_path / module
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "-d",
             str(folder), name],
            env=_ENVIRON, capture_output=True, check=False, timeout=250,
        )
        for wheel in folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                names = [each.partition(".data/purelib/")[2] or each.partition(".data/platlib/")[2] or each
                         for each in archive.namelist()]
            checked[module] = contradiction(module, modules_of(names))
    # Some have wheels for other machines alone, or none.
    assert len(checked) >= SAMPLE // 2
    assert not any(checked.values()), checked
