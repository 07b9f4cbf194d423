"""Hooks of shells, in real ones: bash always, zsh and fish where they are."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pipfast.shells.scripts import hook, source_line, undo
from support.program import Ended

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.many, pytest.mark.once]

_FAKE = """\
#!/bin/sh
[ -z "$PIP_AUTO_COMPLETE" ] || {{ echo "$COMP_WORDS, $COMP_CWORD" >>asked; echo install; exit 1; }}
echo "{name}${{_PIPFAST_NAME:+ as $_PIPFAST_NAME}}"
for each in "$@"; do printf '<%s>\\n' "$each"; done
[ -z "$ASKED" ] || {{ cat; echo "hook: $_PIPFAST_SHELL ${{_PIPFAST_WHY%%=*}}"; }}
exit ${{STATUS:-0}}
"""
"""A program that says who it is and what it was given."""

_START = {
    "bash": ("bash", "--noprofile", "--norc"), "zsh": ("zsh", "--no-rcs"), "fish": ("fish",),
}
"""A shell without anybody's start-up files."""


@dataclass(frozen=True, slots=True)
class World:
    """A shell, and fakes of all that the hook starts; their folder's name is full of quotes."""

    shell: str
    root: Path

    @property
    def hook(self) -> str:
        """The script for this shell."""
        return self.made()

    def made(self, **saved: str) -> str:
        """Return the script for this shell, as it is kept in a file."""
        return hook(self.shell, str(self.root / "own" / "pipfast"), str(self.runner), **saved)

    @property
    def runner(self) -> Path:
        """What stands in the place of ours."""
        return self.root / "runner.py"

    def put(self, name: str) -> str:
        """Make a program that says its name, and return it."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_FAKE.format(name=name), encoding="utf-8")
        file.chmod(0o755)
        return name

    def environ(self, **more: str) -> dict[str, str]:
        """Return the shell's variables; names of environments are folders of the world."""
        variables = {"PATH": f"{self.root / 'path'}:{os.defpath}", "HOME": str(self.root), "LC_ALL": "C.UTF-8"}
        for name, value in more.items():
            variables[name] = str(self.root / value) if name in ("VIRTUAL_ENV", "CONDA_PREFIX") else value
        return variables

    def run(self, commands: str, hooked: bool = True, stdin: str = "", **variables: str) -> Ended:
        """Run commands in the shell behind the hook."""
        script = self.root / "script"
        script.write_text((self.hook if hooked else "") + commands + "\n", encoding="utf-8")
        ended = subprocess.run(
            [*_START[self.shell], str(script)], cwd=self.root, env=self.environ(**variables),
            input=stdin, capture_output=True, encoding="utf-8", timeout=60, check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def said(self, commands: str, hooked: bool = True, **variables: str) -> list[str]:
        """Return what commands print, without the runner's path."""
        ended = self.run(commands, hooked=hooked, **variables)
        assert not ended.err
        return ended.out.replace(f"<{self.runner}>\n", "<runner>\n").split("\n")[:-1]


@pytest.fixture(params=_START)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    shell: str = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    world = World(shell, tmp_path / "it's \"a\" $HOME `pwd` \\n\\ *")
    world.root.mkdir()
    world.runner.touch()
    for name in ("own/pipfast", "path/pip", "path/pip3", "path/pip3.12", "path/pip3.13", "env/bin/python",
                 "env/bin/python3.12", "conda/bin/python", "conda/bin/python3.13"):
        world.put(name)
    return world


def test_environment_that_is_active_runs_it(world: World) -> None:
    """Also where it becomes so later, and until it is no more."""
    assert world.said("pip install 'a  b' '' '*'", VIRTUAL_ENV="env") == [
        "env/bin/python", "<runner>", "<pip>", "<install>", "<a  b>", "<>", "<*>",
    ]
    assert world.said("pip3 list", CONDA_PREFIX="conda") == ["conda/bin/python", "<runner>", "<pip3>", "<list>"]
    assert world.said("pip", VIRTUAL_ENV="env", CONDA_PREFIX="conda") == ["env/bin/python", "<runner>", "<pip>"]
    to, off = "VIRTUAL_ENV=", "unset VIRTUAL_ENV"
    if world.shell == "fish":
        to, off = "set -gx VIRTUAL_ENV ", "set -e VIRTUAL_ENV"
    assert world.said(f"pip; {to}env; pip; {to}conda; pip; {off}; pip") == [
        "own/pipfast as pip", "env/bin/python", "<runner>", "<pip>",
        "conda/bin/python", "<runner>", "<pip>", "own/pipfast as pip",
    ]


def test_version_in_the_name_must_be_the_environments(world: World) -> None:
    """Else the command of that name runs, as it did before."""
    assert world.said("pip3.12 list", VIRTUAL_ENV="env") == [
        "env/bin/python3.12", "<runner>", "<pip3.12>", "<list>",
    ]
    assert world.said("pip3.13 list", VIRTUAL_ENV="env") == ["path/pip3.13", "<list>"]
    assert world.said("pip3.13", VIRTUAL_ENV="env", CONDA_PREFIX="conda") == [
        "conda/bin/python3.13", "<runner>", "<pip3.13>",
    ]
    assert world.run("pip3.10 list", VIRTUAL_ENV="env").status == 127


def test_without_an_environment_pipfast_chooses(world: World) -> None:
    assert world.said("pip list") == ["own/pipfast as pip", "<list>"]
    assert world.said("pip list", VIRTUAL_ENV="gone") == ["own/pipfast as pip", "<list>"]
    assert world.said("pip3.12 list") == ["path/pip3.12", "<list>"]


def test_python_that_pip_is_told_is_chosen_by_pipfast(world: World) -> None:
    """The active environment's, which may be one in which pipfast does not run, is not started for it."""
    told = ["own/pipfast as pip", "<--python>", "<x  y>", "<list>"]
    assert world.said("pip --python 'x  y' list", VIRTUAL_ENV="env") == told
    joined = ["own/pipfast as pip", "<--python=x>", "<list>"]
    assert world.said("pip --python=x list", CONDA_PREFIX="conda") == joined
    assert world.said("pip list", VIRTUAL_ENV="env", PIP_PYTHON="x") == ["own/pipfast as pip", "<list>"]
    # Other options, and a name with a version, are what they were.
    command = "pip download --python-version 3.11 --pythonic"
    assert world.said(command, VIRTUAL_ENV="env", PIP_PYTHON="")[:3] == ["env/bin/python", "<runner>", "<pip>"]
    assert world.said("pip3.12 --python x", VIRTUAL_ENV="env")[0] == "env/bin/python3.12"
    assert world.said("pip --python x", PIPFAST="off", VIRTUAL_ENV="env")[0] == "path/pip"
    (world.root / "own" / "pipfast").unlink()
    assert world.said("pip --python x", VIRTUAL_ENV="env")[0] == "env/bin/python"


def test_script_for_the_shell_comes_from_our_own_python(world: World) -> None:
    assert world.said("pipfast shell-hook x", VIRTUAL_ENV="env") == [
        "own/pipfast as pipfast", "<shell-hook>", "<x>",
    ]
    assert world.said("pipfast doctor", VIRTUAL_ENV="env") == [
        "env/bin/python", "<runner>", "<pipfast>", "<doctor>",
    ]


def test_off_is_the_command_itself(world: World) -> None:
    assert world.said("pip list", PIPFAST="off", VIRTUAL_ENV="env") == ["path/pip", "<list>"]
    assert world.said("pipfast list", PIPFAST="off", VIRTUAL_ENV="env")[0] == "env/bin/python"
    assert world.said("PIPFAST=off pip list; pip list") == [
        "path/pip", "<list>", "own/pipfast as pip", "<list>",
    ]


def test_removed_pipfast_leaves_the_commands(world: World) -> None:
    world.runner.unlink()
    assert world.said("pip list", VIRTUAL_ENV="env") == ["path/pip", "<list>"]
    world.runner.touch()
    (world.root / "own" / "pipfast").unlink()
    assert world.said("pip list") == ["path/pip", "<list>"]


def test_status_input_and_the_sign_for_doctor(world: World) -> None:
    """The sign is the child's alone."""
    ended = world.run("pip; env | grep -c _PIPFAST", STATUS="7", ASKED="1", VIRTUAL_ENV="env", stdin="given\n")
    assert ended.out.split("\n")[3:] == ["given", f"hook: {world.shell} VIRTUAL_ENV", "0", ""]
    assert world.run("pip", STATUS="7").status == 7
    assert world.run("pip", STATUS="7", PIPFAST="off").status == 7
    assert world.run("pip3.12", STATUS="7").status == 7
    assert world.run("pip3.12", VIRTUAL_ENV="env", STATUS="7").status == 7
    said = world.said("printf 'piped\\n' | pip | cat", ASKED="1")
    assert said == ["own/pipfast as pip", "piped", f"hook: {world.shell} "]


def test_others_find_the_commands_as_they_were(world: World) -> None:
    """Scripts, ``command``, ``xargs`` and ``env``."""
    for way in ("command pip", "env pip", "xargs pip", "sh -c pip", f"{world.shell} -c pip"):
        assert world.said(way, VIRTUAL_ENV="env") == ["path/pip"]


def strict(world: World) -> str:
    """Return the commands that make a shell as strict as it can be, with aliases and functions in the way."""
    functions = "python() { echo mine; }; python3() { echo mine; }; test() { echo mine; }; "
    aliases = "alias pip='pip --quiet' command=false local=false export=false complete=false compdef=false\n"
    return {
        "bash": f"shopt -s expand_aliases; set -euo pipefail; IFS=/; {functions}{aliases}",
        "zsh": f"setopt err_exit no_unset pipefail sh_word_split ksh_arrays; IFS=/; {functions}{aliases}",
        "fish": "function python; echo mine; end; alias pip3 'command pip --quiet'\n",
    }[world.shell]


def test_strict_shells_aliases_and_functions(world: World) -> None:
    """An alias of the name stays, and leads to the function."""
    world.runner.touch()
    before, after = strict(world), "\npip list\npip3.12 list\npip --python x\n"
    ended = world.run(before + world.hook + world.hook + after, hooked=False, VIRTUAL_ENV="env")
    alias = ["<--quiet>"] if world.shell != "fish" else []
    assert not ended.err
    assert ended.out.replace(f"<{world.runner}>\n", "").split("\n") == [
        "env/bin/python", "<pip>", *alias, "<list>", "env/bin/python3.12", "<pip3.12>", "<list>",
        "own/pipfast as pip", *alias, "<--python>", "<x>", "",
    ]


def test_failure_ends_a_strict_script(world: World) -> None:
    if world.shell == "fish":
        pytest.skip("fish has no such option")
    ended = world.run("set -e; pip || echo handled; pip; echo not reached", STATUS="3")
    assert (ended.status, ended.out.count("handled"), ended.out.count("reached")) == (3, 1, 0)


def test_traced_commands_say_the_same(world: World) -> None:
    trace = "set fish_trace 1" if world.shell == "fish" else "set -x"
    assert world.run(f"{trace}; pip list").out == world.run("pip list").out


def test_exported_to_nobody(world: World) -> None:
    if world.shell != "bash":
        pytest.skip("only bash exports functions")
    ended = world.run(f"set -a; {world.hook}\nenv | grep -c pip3.12; bash -c pip", hooked=False)
    assert ended.out == "0\npath/pip\n"


_STATE = {
    "bash": "declare -f; complete -p; alias; compgen -v | grep -v 'BASH_\\|^_$'",
    "zsh": "functions; alias; echo $precmd_functions; echo ${(kv)_comps}; echo ${(ko)parameters}",
    "fish": "functions -a; complete -c pip; complete -c pipfast; echo $fish_complete_path; set -n",
}
"""What the hook could change."""


_OWN = {
    "bash": "complete -W own pip; alias pip3=own",
    "zsh": "autoload -U compinit; compinit -D -u; compdef _own pip; alias pip3=own",
    "fish": "complete --command pip --arguments own",
}
"""What a user may have before."""


def test_undone_nothing_is_left(world: World) -> None:
    """But the user's own things, and those only."""
    own, state = f"{_OWN[world.shell]}\n", f"\n{_STATE[world.shell]}"
    first = "\n_pipfast_first_prompt\n" if world.shell == "zsh" else "\n"
    before = world.run(own + state, hooked=False)
    between = world.run(own + world.hook + first + world.hook + state, hooked=False)
    after = world.run(own + world.hook + first + undo(world.shell) + state, hooked=False)
    assert not before.err and not between.err and not after.err
    assert "_pipfast" in between.out
    assert after.out == before.out
    later = world.run(f"function pip {_BODY[world.shell]}\n{undo(world.shell)}\npip")
    assert later.out == "mine\n"


def test_undone_twice_a_strict_shell_goes_on(world: World) -> None:
    options = {"bash": "set -euo pipefail", "zsh": "setopt err_exit no_unset pipefail"}.get(world.shell, "")
    gone = "\n".join([options, world.hook, undo(world.shell), undo(world.shell), "echo on"])
    assert world.run(gone, hooked=False) == Ended(0, "on\n", "")


@pytest.mark.parametrize("switch", ["{posix}\n{hook}", "{hook}\n{posix}"], ids=["from the start", "later"])
def test_posix_mode_has_no_names_with_points(world: World, switch: str) -> None:
    """There bash itself leaves the shell if such a function is defined."""
    if world.shell != "bash":
        pytest.skip("it is bash's")
    start = switch.format(posix="set -eu; set -o posix", hook=world.hook)
    run = world.run(f"{start}\npip list\ncommand pip3.12\n{undo('bash')}\npip\nset +o posix\npip3.12",
                    hooked=False, VIRTUAL_ENV="env")
    assert not run.err
    own = f"env/bin/python\n<{world.runner}>\n<pip>\n<list>\n"
    assert run.out == f"{own}path/pip3.12\npath/pip\npath/pip3.12\n"


_BODY = {"bash": "{ echo mine; }", "zsh": "{ echo mine; }", "fish": "; echo mine; end"}


def test_nothing_happens_at_a_prompt(world: World) -> None:
    """No command runs before a prompt; in zsh one does once."""
    hooks = {
        "bash": "echo ${PROMPT_COMMAND-} ${PS0-} ${PS1-}; trap",
        "zsh": "_pipfast_first_prompt; echo $precmd_functions $preexec_functions $chpwd_functions $PS1",
        "fish": "functions --handlers; functions fish_prompt",
    }[world.shell]
    expected = world.run(hooks.removeprefix("_pipfast_first_prompt; "), hooked=False)
    assert world.run(hooks).out == expected.out


def test_saved_script_is_read_and_renews_itself(world: World) -> None:
    file, sign = world.root / "saved", world.root / "sign"
    file.write_text(world.made(file=str(file), sign=str(sign)), encoding="utf-8")
    read = source_line(world.shell, str(file))
    sign.mkdir()
    assert world.run(f"{read}\npip", hooked=False).out.startswith("own/pipfast as ")
    sign.rmdir()
    old = file.read_bytes()
    # It cannot: the old one serves.
    assert world.run(f"{read}\npip3 list", hooked=False, STATUS="1").out.startswith("own/pipfast as ")
    (world.root / "own" / "pipfast").write_text(
        f"#!/bin/sh\necho $*\necho 'echo new' >'{file.name}'\n", encoding="utf-8"
    )
    assert world.run(read, hooked=False).out == "new\n"
    # Nobody is there who could.
    file.write_bytes(old)
    (world.root / "own" / "pipfast").unlink()
    world.runner.unlink()
    assert world.said(f"{read}\npip", hooked=False) == ["path/pip"]


_TYPED = {
    "bash": "PS1='> '; source ./script",
    # The completion system comes after the hook, as in many a .zshrc.
    "zsh": "PS1='> '; source ./script; autoload -U compinit; compinit -D -u",
    "fish": "function fish_prompt; echo '> '; end; source ./script",
}


def test_completion_on_a_terminal(world: World) -> None:
    """One key asks once, whichever Python answers."""
    (world.root / "script").write_text(world.hook, encoding="utf-8")
    lines = [_TYPED[world.shell], "pip ins\t x", "pipfast ins\t y", "pip3.12 ins\t z", "exit"]
    out = typed(world, lines, VIRTUAL_ENV="env")
    for last in "xyz":
        assert f"<install>\n<{last}>\n" in out
    asked = (world.root / "asked").read_text(encoding="utf-8").splitlines()
    assert asked == ["pip ins, 1", "pipfast ins, 1", "pip3.12 ins, 1"]


def typed(world: World, lines: list[str], **variables: str) -> str:
    """Type lines into the shell on a terminal, and return what stands there."""
    master, slave = pty.openpty()
    environ = world.environ(TERM="dumb", **variables)
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *_START[world.shell], "-i"],
        cwd=world.root, env=environ, stdin=slave, stdout=slave, stderr=slave,
    )
    os.close(slave)
    out = ""
    for line in lines:
        os.write(master, f"{line}\r".encode())
    while select.select([master], [], [], 20)[0]:
        try:
            out += os.read(master, 1 << 16).decode()
        except OSError:
            break
    process.kill()
    process.wait()
    os.close(master)
    return out.replace("\r\n", "\n")
