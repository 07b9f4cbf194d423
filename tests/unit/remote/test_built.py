"""Places of wheels: everything that changes a build, and nothing that does not."""

from __future__ import annotations

import json
import platform
import sys
import sysconfig
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pipfast.remote.built import place_of, read_wheel
from pipfast.rescue.diagnosis.causes import MissingModule
from pipfast.rescue.wheels import Visible
from support.team import MAKER, team_wheel

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = f"sha256:{'11' * 32}"
ENVIRON = {"PATH": "/usr/bin", "CFLAGS": "-O2", "HOME": "/home/a", "CUDA_HOME": "/usr/local/cuda"}
TOOLS = {"cc": "(Debian 12.2.0-14) 12.2.0"}


def place(
    source: str = SOURCE, config_settings: object = None, environ: dict[str, str] = ENVIRON,
    tools: dict[str, str] = TOOLS,
) -> str:
    return place_of(source, config_settings, environ, tools)


@pytest.mark.parametrize("other", [
    {"source": f"sha256:{'22' * 32}"},
    {"source": f"{SOURCE}#subdirectory=x"},
    {"config_settings": {"--build-option": "--fast"}},
    {"environ": {**ENVIRON, "CFLAGS": "-O3"}},
    {"environ": {**ENVIRON, "TORCH_CUDA_ARCH_LIST": "9.0"}},
    {"environ": {**ENVIRON, "SOURCE_DATE_EPOCH": "0"}},
    {"tools": {"cc": "(Debian 13.1.0) 13.1.0"}},
    {"tools": {**TOOLS, "nvcc": "release 12.4"}},
    {"tools": {}},
])
def test_what_changes_a_build_has_another_place(other: dict[str, Any]) -> None:
    assert place(**other) != place()


def test_where_tools_and_homes_are_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """PATH is not part of it, and no variable that builds do not read."""
    assert place(environ={**ENVIRON, "PATH": "/opt/bin:/usr/bin", "HOME": "/home/b", "CI": "1"}) == place()


@pytest.mark.parametrize("change", [
    lambda patch: patch.setattr(sys.implementation, "cache_tag", "cpython-399"),
    lambda patch: patch.setattr(platform, "libc_ver", lambda: ("glibc", "9.9")),
    lambda patch: patch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "other"}),
    lambda patch: patch.setattr(sysconfig, "get_config_var", lambda name: "other"),
    lambda patch: patch.setattr(sysconfig, "get_platform", lambda: "other"),
])
def test_another_interpreter_or_system_has_another_place(
    change: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = place()
    change(monkeypatch)
    assert place() != before


def test_head_says_what_was_said() -> None:
    wheel = replace(team_wheel(), causes=(MissingModule("torch.utils"),), isolated=False, processor="x")
    assert read_wheel(json.loads(json.dumps(wheel.to_json()))) == wheel


@pytest.mark.parametrize("filename", ["../x.whl", "/x.whl", "x.tar.gz", "", "a/b.whl", "x.whl\n"])
def test_head_names_no_path(filename: str) -> None:
    with pytest.raises(ValueError, match="no wheel's name"):
        read_wheel(replace(team_wheel(), filename=filename).to_json())


def test_what_a_build_saw_tells_wheels_apart() -> None:
    wheel = team_wheel()
    assert wheel.is_as(replace(wheel, built=0.0, record="other"))
    assert not wheel.is_as(team_wheel(replace(MAKER, version="2.0")))
    assert not wheel.is_as(team_wheel(replace(MAKER, archive="55" * 32, record="66" * 32)))
    assert not wheel.is_as(team_wheel(MAKER, Visible("more", "1.0", archive="77" * 32)))
    assert not wheel.is_as(replace(wheel, isolated=False)) and not wheel.is_as(replace(wheel, processor="x"))
