"""Programs of pip's user agent: run once, and none is left."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pipfast.settings import Settings
from pipfast_hooks.run import Run
from pipfast_hooks.startup.agent import Agent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="programs are shell scripts")

ASKED = ("rustc", "--version")


@pytest.fixture
def rustc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file in which a program notes its runs; it is the only one on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "rustc"
    script.write_text(f"#!/bin/sh\necho run >> {tmp_path}/runs\necho rustc 1.0\n", encoding="utf-8")
    script.chmod(0o755)
    return tmp_path / "runs"


def test_a_second_session_has_the_program_run_again(rustc: Path) -> None:
    """As pip alone: its answer may be another one by then."""
    agent = Run(Settings(), 0o022).part(Agent)
    for runs in (1, 2):
        assert agent.check_output(ASKED, stderr=subprocess.STDOUT, timeout=20) == b"rustc 1.0\n"
        assert rustc.read_text(encoding="utf-8") == "run\n" * runs


def test_another_question_is_not_answered_by_what_was_started(rustc: Path) -> None:
    """Nor the same one with another option; what nobody asked for ends with the part."""
    agent = Run(Settings(), 0o022).part(Agent)
    try:
        with pytest.raises(FileNotFoundError):
            agent.check_output(("uname", "-rs"), stderr=subprocess.DEVNULL, timeout=20)
        assert agent.check_output(ASKED, stderr=subprocess.STDOUT, timeout=20, cwd=os.sep) == b"rustc 1.0\n"
    finally:
        agent.close(0.0)
    assert agent._running == {}


def test_failure_is_what_subprocess_raises(rustc: Path, tmp_path: Path) -> None:
    (tmp_path / "bin" / "rustc").write_text("#!/bin/sh\necho no toolchain\nexit 3\n", encoding="utf-8")
    agent = Run(Settings(), 0o022).part(Agent)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        agent.check_output(list(ASKED), stderr=subprocess.STDOUT, timeout=20)
    assert (caught.value.returncode, caught.value.output, caught.value.cmd) == (3, b"no toolchain\n", list(ASKED))
