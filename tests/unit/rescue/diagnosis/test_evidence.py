"""Evidence as the probe writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipfast.rescue.diagnosis.evidence import EvidenceDamaged, ProcessRecord, RaisedError, read_record

LINE = {
    "pid": 71, "argv": ["setup.py"], "sought": ["torch", "torch.utils"], "imported": ["setuptools"],
    "errors": [
        {"type": "builtins.RuntimeError", "message": "please install PyTorch first", "files": ["/src/setup.py"]},
        {"type": "builtins.ModuleNotFoundError", "message": "No module named 'torch'", "name": "torch",
         "files": ["/a.py", "/b.py"]},
    ],
}

RECORD = ProcessRecord(
    71, ("setup.py",),
    (
        RaisedError("builtins.RuntimeError", "please install PyTorch first", None, ("/src/setup.py",)),
        RaisedError("builtins.ModuleNotFoundError", "No module named 'torch'", "torch", ("/a.py", "/b.py")),
    ),
    ("torch", "torch.utils"), ("setuptools",),
)


def test_what_the_probe_writes_is_read_field_by_field() -> None:
    assert read_record(json.loads(json.dumps(LINE))) == RECORD


def test_what_a_newer_probe_adds_is_passed_over() -> None:
    """A key that is not known changes nothing."""
    assert read_record(LINE | {"further": 1}) == RECORD


def test_what_a_probe_did_not_get_to_is_empty() -> None:
    assert read_record({}) == ProcessRecord(0, (), (), (), ())


@pytest.mark.parametrize(
    "damage",
    [
        {"pid": "first"},
        {"pid": None},
        {"argv": "setup.py"},
        {"argv": [3]},
        {"errors": [{"type": "x"}]},
        {"errors": [{"type": "x", "message": "", "name": 3}]},
        {"errors": "text"},
        {"sought": [3]},
        {"sought": "torch"},
        {"imported": [["torch"]]},
    ],
)
def test_damage_is_one_error(damage: dict[str, Any]) -> None:
    """A record that is not the probe's raises the error that callers expect, never another one."""
    with pytest.raises(EvidenceDamaged):
        read_record(LINE | damage)


def test_kind_is_the_name_of_the_class() -> None:
    """Whatever module an exception is from."""
    assert RaisedError("setuptools.errors.CompileError", "").kind == "CompileError"
