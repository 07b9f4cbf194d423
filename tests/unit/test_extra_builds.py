"""The setting ``extra-build-dependencies``."""

from __future__ import annotations

import pytest

from pipfast.extra_builds import ExtrasUnreadable, read_extras, split_requirements, to_be_set, write_extras


@pytest.mark.parametrize(
    ("text", "extras"),
    [
        ("flash-attn: torch, ninja", {"flash-attn": ("torch", "ninja")}),
        ("flash-attn: torch ninja; khoros: numpy", {"flash-attn": ("torch", "ninja"), "khoros": ("numpy",)}),
        ("\nflash-attn: torch>=2,<3, ninja\nkhoros: numpy\n", {
            "flash-attn": ("torch>=2,<3", "ninja"), "khoros": ("numpy",)
        }),
        ("a: torch >= 2, < 3, ninja", {"a": ("torch >= 2, < 3", "ninja")}),
        ("a: torch[opt, extra]>=2 ninja", {"a": ("torch[opt, extra]>=2", "ninja")}),
        ("a: torch==2.0.dev1,!=2.0 x", {"a": ("torch==2.0.dev1,!=2.0", "x")}),
        ("A_b.c: x; a-B-C: y, x", {"a-b-c": ("x", "y")}),
        ("a:", {"a": ()}),
        (";;", {}),
        ('{"flash-attn": ["torch @ https://host/torch.whl", "x; os_name == \'posix\'"]}', {
            "flash-attn": ("torch @ https://host/torch.whl", "x; os_name == 'posix'")
        }),
        ("{}", {}),
    ],
)
def test_both_forms_are_read(text: str, extras: dict[str, tuple[str, ...]]) -> None:
    """A comma or a blank parts requirements, but not the clauses of a specifier."""
    assert read_extras(text) == extras


@pytest.mark.parametrize(
    "text",
    ["torch", "a b: torch", ": torch", "a: >=2", "a: -e x", "a: bar @@ https://x", "a: torch=2",
     '{"a": ["x; os_name"]}', "{", '{"a": "torch"}', '{"a": [2]}', '{"a": [">=2"]}'],
)
def test_what_is_neither_form_is_refused(text: str) -> None:
    """Nothing is made up from a value that was meant otherwise."""
    with pytest.raises(ExtrasUnreadable):
        read_extras(text)


@pytest.mark.parametrize(
    "requirements",
    [("torch",), ("torch>=2,<3", "ninja"), ("torch @ https://h/a;b.whl",), ("x; os_name == 'posix'",), ("a[b]",)],
)
def test_a_hint_can_be_copied(requirements: tuple[str, ...]) -> None:
    """What is written for the user is read back as it was meant."""
    assert read_extras(write_extras({"flash-attn": requirements})) == {"flash-attn": requirements}


def test_what_is_set_stays_but_for_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hint adds to the setting; what may have a password in it is not shown."""
    monkeypatch.setattr("os.name", "posix")
    present = {"a": ("x",), "flash-attn": ("ninja",), "b": ("y @ https://u:secret@h/y.whl",)}
    command = to_be_set("Flash_Attn", "torch", present)
    assert command == "export PIPFAST_EXTRA_BUILD_DEPENDENCIES='a: x; Flash_Attn: ninja, torch'"
    assert read_extras("a: x; Flash_Attn: ninja, torch")["flash-attn"] == ("ninja", "torch")


@pytest.mark.parametrize("address", [
    "git+file:///x/y#subdirectory=csrc/rotary", "git+https://h:1/x@main", "file:///a%20b", "https://h/a;b.zip",
])
def test_an_address_stands_for_a_package_without_a_name(address: str) -> None:
    extras = {address: ("torch", "ninja>=1"), "a": ("b",)}
    assert read_extras(write_extras(extras)) == extras


def test_dots_are_no_requirement() -> None:
    """A hint that is pasted with its gap fetches nothing."""
    with pytest.raises(ExtrasUnreadable):
        read_extras("flash-attn: ...")


def test_requirements_are_parted_from_each_other() -> None:
    assert split_requirements("a, b>1 ,c") == ["a", "b>1", "c"]
