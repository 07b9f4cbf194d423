"""The command line: pip's, by another name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pipfast import __version__
from pipfast.launch import OWN_COMMANDS
from pipfast.settings import FAMILIES
from support.outputs import normalized
from support.program import add_shim

if TYPE_CHECKING:
    from pathlib import Path

    from support.index import Index
    from support.program import Box


def make_script(box: Box) -> Path:
    """Write the command that an installation of pipfast generates, into the environment's bin folder."""
    script = box.python.with_name("pipfast")
    script.write_text(
        f"#!{box.python}\nimport sys\nfrom pipfast.__main__ import main\nsys.exit(main())\n", encoding="utf-8"
    )
    script.chmod(0o755)
    return script


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version_is_pips_line(box: Box, option: str) -> None:
    """Programs that read pip's version find nothing else."""
    assert box.pipfast(option) == box.pip(option)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_version_on_a_terminal_has_ours_too(box: Box) -> None:
    """On standard error alone: what is read from standard output is pip's."""
    ours, theirs = os.openpty()
    ended = subprocess.run([str(box.python), "-m", "pipfast", "--version"], cwd=box.work, env=box.environ(),
                           stdout=subprocess.PIPE, stderr=theirs, text=True, timeout=60, check=True)
    os.close(theirs)
    said = os.read(ours, 10_000).decode()
    os.close(ours)
    assert ended.stdout == box.pip("--version").out
    assert said.startswith(f"pipfast {__version__} from ")


def test_off_is_plain_pip(box: Box, index: Index) -> None:
    """With ``PIPFAST=off`` nothing of ours happens: no store, no second line, no name of ours."""
    ended = box.pipfast("install", *index.args, "app", PIPFAST="off")
    assert ended.status == 0
    assert not box.store.exists()
    assert box.pipfast("--version", PIPFAST="off").out == box.pip("--version").out


def test_install_fills_the_store(box: Box, index: Index) -> None:
    """The counterpart of the test above."""
    assert box.pipfast("install", *index.args, "app").status == 0
    assert box.entries()


@pytest.mark.parametrize("command", ["doctor", "store"])
def test_command_of_pips_is_not_shadowed(box: Box, command: str) -> None:
    """A pip that has a command of the name of one of ours keeps it."""
    add_shim(box, f"""
from pip._internal.commands import commands_dict
commands_dict[{command!r}] = commands_dict["hash"]
""")
    ended = box.pipfast(command, "--help")
    assert ended.status == 0
    assert "Compute a hash of a local package archive" in ended.out


def without_ours(text: str) -> str:
    """Return pip's help without the lines of our commands and of our option."""
    text = re.sub(r"^  --timeline .*\n(?:^ {10,}\S.*\n)*", "", text, flags=re.MULTILINE)
    return "".join(line for line in text.splitlines(keepends=True)
                   if not line.startswith(tuple(f"  {name} " for name in OWN_COMMANDS)))


@pytest.mark.parametrize("arguments", [["--help"], ["install", "--help"], []], ids=["help", "command", "bare"])
def test_usage_names_what_was_typed(box: Box, arguments: list[str]) -> None:
    """Usage lines are pip's with the name of the command that was run."""
    expected = box.pip(*arguments)
    by_module = box.pipfast(*arguments)
    assert f"{box.python} -m pipfast " in by_module.out
    assert without_ours(by_module.out).replace("-m pipfast ", "-m pip ") == expected.out
    by_script = box.run(str(make_script(box)), *arguments)
    assert without_ours(by_script.out).replace("  pipfast ", f"  {box.python} -m pip ") == expected.out
    assert by_module.status == by_script.status == expected.status


@pytest.mark.parametrize("arguments", [
    ["nonsense"], ["instal"], ["--nonsense"], ["install", "--nonsense"], ["install"],
    ["download", "-r", "none.txt"],
    ["install", "--index-url"], ["config", "get", "none.none"], ["show", "nonsense"], ["cache", "nonsense"],
    ["install", "--no-index", "not-there-at-all"], ["install", "not a requirement"],
], ids=" ".join)
def test_mistakes_end_as_under_pip(box: Box, arguments: list[str]) -> None:
    """What pip refuses is refused with its words, on its streams, with its exit code."""
    expected, ended = box.pip(*arguments), box.pipfast(*arguments)
    assert expected.status != 0
    assert ended.status == expected.status
    assert ended.out.replace("-m pipfast", "-m pip") == expected.out
    assert ended.err.replace("-m pipfast", "-m pip") == expected.err


@pytest.mark.parametrize("arguments", [
    ["list"], ["list", "--format", "json"], ["freeze"], ["check"], ["show", "pip"], ["config", "list"],
    ["cache", "dir"], ["help", "install"], ["debug"], ["inspect"],
], ids=" ".join)
def test_other_commands_are_pips(box: Box, arguments: list[str]) -> None:
    """A command that installs nothing is pip's to the letter, and makes no store."""
    expected, ended = box.pip(*arguments), box.pipfast(*arguments)
    assert (ended.status, ended.err) == (expected.status, expected.err)
    assert normalized(ended.out) == normalized(expected.out)
    assert not box.store.exists()


@pytest.mark.parametrize("shell", ["--bash", "--fish"])
def test_completion_script_is_for_the_name_that_was_typed(box: Box, shell: str) -> None:
    """The script completes ``pipfast``, by asking ``pipfast``."""
    expected = box.pip("completion", shell).out.replace(f"{box.python} -m pip", "pipfast")
    ended = box.run(str(make_script(box)), "completion", shell)
    assert ended.status == 0
    assert ended.out == expected
    assert "pipfast" in ended.out


def test_completion_answers_as_pip(box: Box) -> None:
    """What the shell asks while a command is typed is answered by pip."""
    asked = {"PIP_AUTO_COMPLETE": "1", "COMP_WORDS": "pip inst", "COMP_CWORD": "1"}
    expected, ended = box.pip(**asked), box.pipfast(**asked)
    assert "install" in expected.out
    assert (ended.status, ended.out, ended.err) == (expected.status, expected.out, expected.err)


TRAP = "import os, sys; open(os.environ['TRAPPED'], 'a').write(__name__ + chr(10))\n"


def test_nothing_is_imported_from_the_current_folder(box: Box, index: Index) -> None:
    """Files that lie about in the current folder are not run, neither by us nor by our workers."""
    names = ("pip", "wrapt", "json", "isal", "platformdirs", "pipfast_hooks", "zipfile", "secrets")
    for name in names:
        (box.work / f"{name}.py").write_text(TRAP, encoding="utf-8")
    trapped = box.root / "trapped"
    ended = box.pipfast("install", *index.args, "app", TRAPPED=str(trapped))
    assert ended.status == 0, ended.err
    assert not trapped.exists()
    assert [entry for entry in box.entries() if entry.startswith("bytecode")]


def test_script_imports_nothing_from_the_current_folder(box: Box, index: Index) -> None:
    """As above for the command, which a ``pipfast.py`` does not deceive either."""
    for name in ("pip", "pipfast", "pipfast_hooks", "wrapt", "json"):
        (box.work / f"{name}.py").write_text(TRAP, encoding="utf-8")
    trapped = box.root / "trapped"
    ended = box.run(str(make_script(box)), "install", *index.args, "app", TRAPPED=str(trapped))
    assert ended.status == 0, ended.err
    assert not trapped.exists()


@pytest.mark.parametrize("name, value", [
    ("PIPFAST", "perhaps"), ("PIPFAST_CONNECTIONS", "many"), ("PIPFAST_CONNECTIONS", "0"),
    ("PIPFAST_CONNECTIONS", "1e3"), ("PIPFAST_WORKERS", "-1"), ("PIPFAST_WORKERS", "٣"),
    ("PIPFAST_LINK_MODE", "magic"), ("PIPFAST_DISABLE", "everything"),
])
def test_setting_that_cannot_be_read_is_one_message(box: Box, index: Index, name: str, value: str) -> None:
    """The message names the setting and says what to do; the installation goes on."""
    ended = box.pipfast("install", *index.args, "app", **{name: value})
    assert ended.status == 0
    message, hint = ended.err.splitlines()
    assert message.startswith(f"pipfast: {name} ")
    assert hint.startswith("hint: ")
    assert {"app", "library"} <= set(box.installed())


@pytest.mark.parametrize("disabled", [*FAMILIES, ",".join(FAMILIES)])
def test_install_with_families_switched_off(box: Box, index: Index, disabled: str) -> None:
    """Without any family, and without all of them, the result is the same and nothing is left."""
    ended = box.pipfast("install", *index.args, "app", PIPFAST_DISABLE=disabled)
    assert (ended.status, ended.err) == (0, "")
    assert {"app", "library"} <= set(box.installed())
    assert box.leftovers() == []
    assert bool(box.entries()) is (disabled in FAMILIES)
