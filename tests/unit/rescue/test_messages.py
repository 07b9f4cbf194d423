"""Messages about a rescue."""

from __future__ import annotations

import pytest

from pipfast.rescue import messages
from pipfast.rescue.diagnosis.causes import MissingDistribution, MissingModule
from pipfast.rescue.trust.policy import Grant, Refusal

TORCH = Grant("torch==2.13.0+cpu", "torch", "torch", "a constraint names it: constraints.txt, line 1")
MISSED = MissingModule("torch")
YAML = Grant("PyYAML", "PyYAML", "yaml", "the reviewed table gives yaml to PyYAML", wheels_only=True)


def test_a_grant_says_what_for_whom_which_and_why() -> None:
    """Package, module, distribution, version and reason, in one message."""
    assert messages.granted("flash-attn", MISSED, TORCH) == (
        "flash-attn imports torch without declaring it. Building it again without isolation, with "
        "torch 2.13.0+cpu (a constraint names it: constraints.txt, line 1).", None
    )
    chosen = Grant("torch==2.4.0", "torch", "torch", "x", chosen=True)
    assert messages.granted("rotary_emb", MISSED, chosen)[0] == (
        "rotary_emb imports torch without declaring it. Building it again without isolation, with torch 2.4.0 "
        "(the version that this command installs)."
    )
    text, _ = messages.granted("demo", MissingModule("yaml"), YAML, version="6.0.3")
    for each in ("demo imports yaml", "PyYAML 6.0.3", "reviewed table"):
        assert each in text
    assert messages.granted("demo", None, YAML, "6", again=False)[0].startswith(
        "Building demo without isolation, with PyYAML 6 (")
    asked = messages.granted("demo", MissingDistribution("six>=1"), TORCH, again=False)[0]
    assert asked.startswith("demo asks for six>=1, which is not there. Building it without isolation, with")


def test_what_the_environment_has_is_said_to_be_its_own() -> None:
    own = Grant("torch==1.0", "torch", "torch", "x", installed=True)
    assert "(the version that the environment has)" in messages.granted("demo", MISSED, own)[0]


def test_a_refusal_passes_the_setting_on() -> None:
    refusal = Refusal("torch", "pipfast may not add torch (build-rescue = named)", "set X")
    assert messages.refused("demo", MISSED, refusal) == (
        "demo imports torch without declaring it, and pipfast may not add torch (build-rescue = named)", "set X"
    )


def test_a_failed_rescue_has_both_errors_and_the_rounds() -> None:
    """Of each error its last line: pip's own stands above in full."""
    first = "Traceback (most recent call last):\n  x\nModuleNotFoundError: No module named 'numpy'\n"
    text, _ = messages.failed("pyqpbo", first, "error: " + "x" * 1000, [TORCH, YAML])
    assert "2 more rounds, with torch 2.13.0+cpu, PyYAML" in text
    assert "first error: ModuleNotFoundError: No module named 'numpy'\n" in text
    assert "last error:  error: xxx" in text and text.endswith(" …") and len(text) < 700
    assert "1 more round, with" in messages.failed("pyqpbo", first, "", [TORCH])[0]


@pytest.mark.parametrize(
    ("requires", "there", "left"),
    [((), (), ["torch", "PyYAML"]), (("torch>=2",), (), ["PyYAML"]), ((), ("pyyaml",), ["torch"]),
     (("torch", "PyYAML; extra == 'x'"), (), [])],
)
def test_what_is_undeclared(requires: tuple[str, ...], there: tuple[str, ...], left: list[str]) -> None:
    """Neither declared, nor there, nor a mere tool of builds."""
    cython = Grant("Cython", "Cython", "Cython", "x", wheels_only=True)
    assert messages.undeclared_of([TORCH, YAML, cython, TORCH], requires, there) == left


def test_the_hint_can_be_copied() -> None:
    text, hint = messages.undeclared("demo", ["torch"])
    assert "demo was built with torch" in text and hint == "if demo needs it to run:\n  pipfast install torch"
    assert "them" in messages.undeclared("demo", ["torch", "PyYAML"])[0]


@pytest.mark.parametrize(
    ("requirement", "text"),
    [("torch==2.0", "torch 2.0"), ("torch", "torch"), ("torch>=1,<2", "torch>=1,<2"), ("torch==2.*", "torch==2.*"),
     ("torch @ https://host/x.whl", "torch @ https://host/x.whl")],
)
def test_requirements_in_sentences(requirement: str, text: str) -> None:
    assert messages.shown(requirement) == text
