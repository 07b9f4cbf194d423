"""``pip`` in a shell with the hook, beside stock pip in one without."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from pipfast.launch import OWN_COMMANDS
from pipfast.shells.scripts import hook
from support.program import Ended

if TYPE_CHECKING:
    from support.index import Index
    from support.program import Box

pytestmark = pytest.mark.once

_SCRIPT = """\
#!{python}
import sys
from {module} import main
sys.exit(main())
"""


@pytest.fixture
def shell(box: Box) -> Box:
    """Return an environment with the commands that installations of pip and pipfast make."""
    for name, module in (("pip", "pip._internal.cli.main"), ("pipfast", "pipfast.__main__")):
        script = box.python.with_name(name)
        script.write_text(_SCRIPT.format(python=box.python, module=module), encoding="utf-8")
        script.chmod(0o755)
    return box


def in_bash(box: Box, commands: str, *, hooked: bool, **variables: str) -> Ended:
    """Run commands in the active environment."""
    before = hook("bash", str(box.python.with_name("pipfast"))) if hooked else ""
    environ = box.environ(**{"VIRTUAL_ENV": str(box.root / "venv"), **variables})
    environ["PATH"] = f"{box.python.parent}:{environ['PATH']}"
    ended = subprocess.run(
        ["bash", "--noprofile", "--norc", "-c", before + commands], cwd=box.work, env=environ, input="",
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


_COMMANDS = """
pip --version | cat
(set -eu; pip nonsense; echo not reached)
pip install; echo $?
echo "<$(pip list --format=json)>"
for each in a 'b c'; do pip hash "$each" 2>&1; done
pip completion --bash
"""


def test_stock_pip_says_the_same(shell: Box) -> None:
    assert in_bash(shell, _COMMANDS, hooked=True) == in_bash(shell, _COMMANDS, hooked=False)


def test_it_is_pipfast(shell: Box, index: Index) -> None:
    """The counterpart; scripts run the environment's pip."""
    install = f"pip install -q {' '.join(index.args)} app"
    assert in_bash(shell, f"bash -c '{install}'; pip uninstall -qy app library", hooked=True).status == 0
    assert not shell.store.exists()
    assert in_bash(shell, install, hooked=True).status == 0
    assert shell.entries() and "app" in shell.installed()


_ASK = """
ask() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    $(complete -p pip | sed 's/.*-F \\([^ ]*\\) .*/\\1/') pip
    printf '%s ' "$*:" "${COMPREPLY[@]}"; echo
}
ask pip ''; ask pip ins; ask pip --; ask pip install --no-; ask pip show p; ask pip install -r /etc/host
ask pip help x
"""


def test_completion_has_pips_words_and_our_commands(shell: Box) -> None:
    expected = in_bash(shell, f'eval "$(pip completion --bash)"\n{_ASK}', hooked=False)
    ended = in_bash(shell, _ASK, hooked=True)
    assert not ended.err and not expected.err
    first, *rest = ended.out.replace(" --timeline ", " ").splitlines()
    commands, *others = expected.out.splitlines()
    assert rest == others and len(rest) == 6
    assert " --timeline " in ended.out
    assert first.split() == [*commands.split(), *OWN_COMMANDS]


def test_doctor_tells_whether_the_shell_has_the_hook(shell: Box) -> None:
    asked = "pip doctor; echo; command pipfast doctor"
    with_hook, without = in_bash(shell, asked, hooked=True).out.split("\n\n")
    assert "(shell-hook: bash)" in with_hook
    assert "(shell-hook: none)" in without


def test_script_is_this_installations(shell: Box) -> None:
    """Whichever environment is active, and whatever pip is told."""
    command = str(shell.python.with_name("pipfast"))
    asked = {"VIRTUAL_ENV": str(shell.root), "PIP_PYTHON": "/nowhere", "_PIPFAST_NAME": "pip"}
    assert shell.run(command, "shell-hook", "zsh", **asked) == Ended(0, hook("zsh", command), "")
