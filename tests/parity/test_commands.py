"""Every other command of pip, its help, its mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.twin import pip, stock
from support.wheels import Wheel, sdist, wheel

if TYPE_CHECKING:
    from support.environments import Places
    from support.index import Index
    from support.twin import Twins

COMMANDS: dict[str, str] = {
    "list": "list",
    "list-outdated": "list --outdated --index-url {index}",
    "list-uptodate": "list --uptodate --index-url {index}",
    "list-json": "list --format json --verbose",
    "list-freeze": "list --format freeze --not-required",
    "list-exclude": "list --exclude pip --exclude Demo",
    "list-path": "list --path .",
    "freeze": "freeze",
    "freeze-all": "freeze --all --local",
    "freeze-requirement": "freeze -r r.txt",
    "show": "show demo leaf absent",
    "show-verbose": "show --verbose --files demo",
    "show-nothing": "show",
    "check": "check",
    "inspect": "inspect --local",
    "hash": "hash r.txt",
    "hash-other": "hash --algorithm sha512 r.txt",
    "hash-absent": "hash absent.txt",
    "index-versions": "index versions demo --index-url {index}",
    "index-versions-pre": "index versions demo --pre --index-url {index}",
    "index-versions-json": "index versions demo --json --index-url {index}",
    "index-versions-absent": "index versions absent --index-url {index}",
    "cache-dir": "cache dir",
    "cache-info": "cache info",
    "cache-list": "cache list",
    "cache-remove": "cache remove source",
    "cache-remove-all": "cache remove *",
    "cache-purge": "cache purge",
    "cache-bad": "cache polish",
    "config-list": "config list",
    "config-set": "config --user set global.timeout 60",
    "config-get-absent": "config get global.nothing",
    "config-debug": "config debug",
    "config-unset": "config unset global.nothing",
    "debug": "debug",
    "help": "help",
    "help-install": "help install",
    "help-absent": "help instal",
    "no-arguments": "",
    "option-help": "--help",
    "install-help": "install --help",
    "download-help": "download -h",
    "completion": "completion --bash",
    "completion-none": "completion",
    "search": "search demo --index {index}",
    "unknown-command": "instal demo",
    "unknown-option": "install --no-such-option demo",
    "unknown-global-option": "--no-such-option install",
    "ambiguous-option": "install --no demo",
    "option-without-value": "install --index-url",
    "nothing-to-install": "install",
    "bad-requirement": "install de=mo",
    "bad-requirement-version": "install demo==1.x --index-url {index}",
    "path-that-is-not-there": "install ./absent",
    "folder-that-is-no-project": "install .",
    "file-that-is-no-archive": "install r.txt",
    "requirement-not-there": "install -r absent.txt",
    "bad-choice": "install --upgrade-strategy never demo",
    "exclusive": "install --user --prefix x demo",
    "uninstall": "uninstall -y demo leaf",
    "uninstall-requirements": "uninstall -y -r r.txt",
    "uninstall-absent": "uninstall -y absent",
    "uninstall-nothing": "uninstall",
    "python-option": "--python no-such-python list",
    "require-virtualenv": "--require-virtualenv list",
    "own-names-are-not-pips": "demo",
}


@pytest.fixture
def index(twins: Twins) -> Index:
    index = twins.server.index().add(
        Wheel("demo", requires=["leaf"], extras={"more": ["absent"]}, console={"demo": "demo:f"}).build(),
        wheel("demo", "1.1"),
        wheel("demo", "2.0rc1"),
        wheel("leaf"),
        sdist("source"),
    )
    twins.write({"r.txt": "demo\n# a comment\nunknown\nleaf\n"})
    return index


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_command(twins: Twins, index: Index, command: str) -> None:
    """A command, in an environment that stock pip has filled, prints and does the same."""
    arguments = [word.replace("{index}", index.url) for word in command.split()]
    twins.agree(
        stock("install", "-q", *index.args, "demo==1.0", "source"),
        pip(*arguments, fails=None),
        uninstall=False,
        warm=False,
    )


def test_config_changes_files(twins: Twins) -> None:
    """``config`` writes, reads and unsets in the user's and the environment's file."""
    twins.agree(
        pip("config", "--user", "set", "global.timeout", "60"),
        pip("config", "--site", "set", "install.no-compile", "yes"),
        pip("config", "list", "-v"),
        pip("config", "get", "global.timeout", fails=None),
        pip("config", "--user", "unset", "global.timeout"),
        pip("config", "list"),
        environ={"PIP_CONFIG_FILE": ""},
        warm=False,
    )


def test_cache_after_our_own_work(twins: Twins, index: Index) -> None:
    """pip's cache of built wheels is pip's: listed and removed as if pip had been alone."""
    twins.agree(
        pip("install", *index.args, "source", "demo"),
        pip("cache", "list"),
        pip("cache", "remove", "source"),
        pip("cache", "list"),
    )


def test_check_finds_what_is_broken(twins: Twins) -> None:
    """``check`` reports what is missing and what does not fit."""
    index = twins.server.index().add(wheel("demo", "1.0", "absent", "leaf>=2"), wheel("leaf"))
    twins.agree(
        pip("install", *index.args, "--no-deps", "demo", "leaf"),
        pip("check", fails=True),
        warm=False,
        uninstall=False,
    )


def test_a_module_in_the_current_folder_is_not_ours(twins: Twins, index: Index) -> None:
    """Files named as modules that pip or pipfast import do not get in from the current folder."""
    names = ("wrapt", "platformdirs", "isal", "json", "packaging", "demo", "pipfast_hooks")
    twins.write({f"{name}.py": "raise SystemExit('the wrong one')\n" for name in names})
    twins.agree(pip("install", *index.args, "demo", fails=None), warm=False)


def test_uninstall_what_stock_pip_installed(twins: Twins, index: Index) -> None:
    """``uninstall`` removes what stock pip has put there, entry points and all."""
    twins.agree(
        stock("install", "-q", *index.args, "demo==1.0", "source"),
        pip("uninstall", "-y", "-v", "demo", "source", "leaf"),
        installed={"demo": None},
        warm=False,
    )


def test_externally_removed_files(twins: Twins, index: Index) -> None:
    """An installed distribution without a RECORD is not removed, with pip's words."""

    def spoil(places: Places) -> None:
        folder = places.site_packages / "spoiled-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: spoiled\nVersion: 1.0\n", "utf-8")

    index.add(wheel("spoiled", "2.0"))
    twins.agree(
        pip("uninstall", "-y", "spoiled", fails=True),
        pip("install", *index.args, "spoiled==2.0", fails=None),
        prepare=spoil,
        uninstall=False,
        warm=False,
    )
