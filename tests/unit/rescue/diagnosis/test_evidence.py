"""Evidence as the probe writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipfast.rescue.diagnosis.evidence import EvidenceDamaged, ProcessRecord, RaisedError, imported_in, read_record

LINE = {
    "argv": ["setup.py"], "sought": ["torch", "torch.utils"], "imported": ["setuptools"],
    "errors": [
        {"type": "builtins.RuntimeError", "message": "please install PyTorch first"},
        {"type": "builtins.ModuleNotFoundError", "message": "No module named 'torch'", "name": "torch"},
    ],
}

RECORD = ProcessRecord(
    ("setup.py",),
    (
        RaisedError("builtins.RuntimeError", "please install PyTorch first"),
        RaisedError("builtins.ModuleNotFoundError", "No module named 'torch'", "torch"),
    ),
    ("torch", "torch.utils"),
)


def test_what_the_probe_writes_is_read_field_by_field() -> None:
    assert read_record(json.loads(json.dumps(LINE))) == RECORD


def test_what_a_newer_probe_adds_is_passed_over() -> None:
    """A key that is not known changes nothing."""
    assert read_record(LINE | {"further": 1}) == RECORD


def test_what_a_probe_did_not_get_to_is_empty() -> None:
    assert read_record({}) == ProcessRecord((), (), ())


@pytest.mark.parametrize("damage", [{"sought": None}, {"sought": 3}, {"sought": "torch"}])
def test_damage_is_one_error(damage: dict[str, Any]) -> None:
    """A record that is not the probe's raises the error that callers expect, never another one."""
    with pytest.raises(EvidenceDamaged):
        read_record(LINE | damage)


@pytest.mark.parametrize("errors", [[{"type": "x"}], [{"type": "x", "message": "", "name": 3}], "text", 3, [3]])
def test_damaged_errors_leave_the_rest(errors: object) -> None:
    """They may be those of a process that nobody asks about."""
    record = read_record(LINE | {"errors": errors})
    assert record.errors is None and record.sought == RECORD.sought and record.argv == RECORD.argv


@pytest.mark.parametrize(("argv", "read"), [("setup.py", ()), (None, ()), ([3, "x"], ("3", "x"))])
def test_damaged_arguments_are_no_damage(argv: object, read: tuple[str, ...]) -> None:
    assert read_record(LINE | {"argv": argv}).argv == read


@pytest.mark.parametrize(("imported", "names"), [
    (["torch", "yaml"], ("torch", "yaml")), ([["torch"], 3, "yaml"], ("yaml",)), ("torch", ()), (None, ()),
])
def test_imported_modules_are_read_by_themselves(imported: object, names: tuple[str, ...]) -> None:
    assert imported_in(LINE | {"sought": 3, "imported": imported}) == names


def test_kind_is_the_name_of_the_class() -> None:
    """Whatever module an exception is from."""
    assert RaisedError("setuptools.errors.CompileError", "").kind == "CompileError"
