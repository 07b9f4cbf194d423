"""The build's own imports among all that its processes note."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.rescue.diagnosis.evidence import Watch
from pipfast.settings import RECORD_VARIABLE
from support.diagnosis import diagnose

if TYPE_CHECKING:
    from pipfast.rescue.diagnosis.evidence import Evidence

MISSING = [{"type": "builtins.ModuleNotFoundError", "message": "No module named 'yaml'", "name": "yaml"}]
HOOK = ["/pip/_vendor/pyproject_hooks/_in_process/_in_process.py", "build_wheel", "/tmp/control"]


def noted(*lines: dict[str, Any], output: str = "") -> Evidence:
    """Return the evidence of a hook whose processes noted these lines, in the order of their ends."""
    with Watch("build_wheel", [output]) as watch:
        path = Path(watch.environ(os.environ)[RECORD_VARIABLE])
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    evidence = watch.evidence()
    assert evidence is not None
    return evidence


CHILD = {"argv": ["-c"], "errors": MISSING, "sought": ["yaml"]}


def test_a_child_s_end_is_not_the_hook_s() -> None:
    """It was looked at and gone on without; then a compiler failed, and setuptools exited."""
    evidence = noted(
        CHILD, {"argv": HOOK, "errors": [], "sought": []},
        output="ModuleNotFoundError: No module named 'yaml'\nerror: command 'gcc' failed with exit code 1\n",
    )
    assert evidence.errors == () and [each.name for each in evidence.sought] == ["yaml"]
    assert diagnose(evidence) is None


def test_a_child_s_end_counts_by_what_the_hook_printed_of_it() -> None:
    """The hook's process exits because of it: the output says so at its end."""
    evidence = noted(
        CHILD, {"argv": HOOK, "errors": [], "sought": []},
        output="ModuleNotFoundError: No module named 'yaml'\nerror: the generator failed\n",
    )
    cause = diagnose(evidence)
    assert cause is not None and cause.subject == "yaml"


def test_the_hook_s_own_exception() -> None:
    own = [{"type": "builtins.ModuleNotFoundError", "message": "No module named 'torch'", "name": "torch"}]
    evidence = noted(CHILD, {"argv": HOOK, "errors": own, "sought": ["torch"]})
    assert [each.name for each in evidence.errors] == ["torch"]


def test_a_build_that_writes_there_gets_nothing() -> None:
    """Lines that are no objects are passed over; the record is damaged if the errors that count are."""
    with Watch("build_wheel") as watch:
        path = Path(watch.environ(os.environ)[RECORD_VARIABLE])
        path.write_text(f'3\n[]\n{{\n{json.dumps(CHILD | {"imported": ["os2"]})}\n', encoding="utf-8")
    evidence = watch.evidence()
    assert evidence is not None and [each.name for each in evidence.errors] == ["yaml"]
    assert watch.imported() == {"os2"}
    with Watch("build_wheel") as watch:
        path = Path(watch.environ(os.environ)[RECORD_VARIABLE])
        path.write_text(f'{json.dumps(CHILD)}\n{{"errors": 3}}\n', encoding="utf-8")
    assert watch.evidence() is None


def test_a_killed_hook_leaves_what_its_children_noted() -> None:
    assert [each.name for each in noted(CHILD).errors] == ["yaml"]


def test_damage_in_a_child_s_notes_is_not_the_hook_s() -> None:
    """Only what the hook's own process noted of its end counts."""
    own = [{"type": "builtins.ModuleNotFoundError", "message": "No module named 'torch'", "name": "torch"}]
    hook = {"argv": HOOK, "errors": own, "sought": ["torch"]}
    evidence = noted(CHILD | {"errors": [{"name": 3}], "argv": 3, "imported": 3}, hook)
    assert [each.name for each in evidence.errors] == ["torch"]
