"""RECORD of an installed wheel: pip's own rows."""

from __future__ import annotations

import csv
import io
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipfast.wheel.record import installed_rows, record_text

if TYPE_CHECKING:
    import pytest

PATHS = ["a.py", "b/c.py", "ü, \"quoted\".txt", "demo.data/scripts/tool", "demo.dist-info/RECORD", "x"]
ROWS = st.lists(
    st.tuples(
        st.sampled_from([*PATHS, "not/there"]), st.sampled_from(["", "sha256=abc"]), st.sampled_from(["", "3"])
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=ROWS,
    installed=st.dictionaries(st.sampled_from(PATHS), st.sampled_from(["a.py", "../bin/tool", "b/c.py"])),
    changed=st.sets(st.sampled_from(["a.py", "../bin/tool"])),
    generated=st.lists(st.sampled_from(["INSTALLER", "../bin/made"]), unique=True),
)
def test_rows_are_those_of_pip(
    rows: list[tuple[str, str, str]], installed: dict[str, str], changed: set[str], generated: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("env")
    lib = folder / "lib"
    for path in ("a.py", "b/c.py", "INSTALLER", "../bin/tool", "../bin/made"):
        (lib / path).parent.mkdir(parents=True, exist_ok=True)
        (lib / path).write_text(path)
    made = [str((lib / path).resolve()) for path in generated]
    pip_wheel: Any = import_module(".".join(["pip", "_internal", "operations", "install", "wheel"]))
    theirs = pip_wheel.get_csv_rows_for_installed(
        [list(row) for row in rows], installed=dict(installed), changed=set(changed), generated=made,
        lib_dir=str(lib),
    )
    sorted_rows = pip_wheel._normalized_outrows(theirs)
    ours = installed_rows(rows, installed, changed, made, str(lib))
    assert ours == sorted_rows
    text = io.StringIO(newline="")
    csv.writer(text).writerows(sorted_rows)
    assert record_text(ours) == text.getvalue().encode()
