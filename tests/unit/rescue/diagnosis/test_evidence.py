"""Evidence as the probe writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipfast.rescue.diagnosis.evidence import Evidence, EvidenceDamaged, RaisedError, SoughtModule

WHOLE = Evidence(
    stage="wheel",
    editable=True,
    errors=(
        RaisedError("builtins.RuntimeError", "please install PyTorch first", None, ("/src/setup.py",)),
        RaisedError("builtins.ModuleNotFoundError", "No module named 'torch'", "torch", ("/a.py", "/b.py")),
    ),
    sought=(SoughtModule("torch", True, 71), SoughtModule("torch.utils", False, 72)),
    output="No module named 'torch'\n",
    declared=("setuptools>=40.8.0", "wheel"),
)


def test_evidence_survives_its_file() -> None:
    """What is written as JSON is read back the same, field by field."""
    assert Evidence.from_json(json.loads(json.dumps(WHOLE.to_json()))) == WHOLE


def test_what_a_newer_probe_adds_is_passed_over() -> None:
    """A key that is not known changes nothing."""
    document = WHOLE.to_json() | {"further": 1}
    assert Evidence.from_json(document) == WHOLE


@pytest.mark.parametrize(
    "damage",
    [
        {"stage": "later"},
        {"stage": None},
        {"errors": [{"type": "x"}]},
        {"errors": "text"},
        {"sought": [{"name": 3, "parent_found": True, "pid": 1}]},
        {"sought": [["torch", True, 1]]},
        {"output": ["lines"]},
        {"declared": "setuptools"},
    ],
)
def test_damage_is_one_error(damage: dict[str, Any]) -> None:
    """A record that is not the probe's raises the error that callers expect, never another one."""
    with pytest.raises(EvidenceDamaged):
        Evidence.from_json(WHOLE.to_json() | damage)


@pytest.mark.parametrize("document", [None, [], "text", 3, {}])
def test_another_document_is_damage_too(document: object) -> None:
    """Also what is no object at all."""
    with pytest.raises(EvidenceDamaged):
        Evidence.from_json(document)


def test_kind_is_the_name_of_the_class() -> None:
    """Whatever module an exception is from."""
    assert RaisedError("setuptools.errors.CompileError", "").kind == "CompileError"
