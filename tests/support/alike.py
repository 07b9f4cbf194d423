"""World of environments made alike: the first two teach the store an installation, the third is given it.

Each has a copy of pip; pipfast is outside, on a path of its own. Stock pip does the same later, in an environment
made anew at the same path, with a home of its own.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipfast.memo.entry import read
from pipfast.memo.watch import ASKED
from pipfast.store.layout import Layout
from pipfast.store.names import MEMO
from pipfast.store.notes import write_note
from support import snapshot
from support.changes import MARK, SETTLED_S
from support.environments import VERSION_TAG
from support.index import Manners
from support.outputs import normalized, without_notes
from support.program import Ended
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.index import Index, Server
    from support.wheels import Archive

LEARNING = 4
"""Environments after which an installation is kept, if it is: bytecode that is rarely needed is written first."""

Before = Callable[["World", Path], object]

_OWN = ("pipfast", "pipfast_hooks")


@dataclass(frozen=True, slots=True)
class Asking:
    """How an installation is asked for."""

    arguments: tuple[str, ...] = ("top", "scripted")
    variables: Mapping[str, str] = field(default_factory=dict)
    """An empty value takes a variable away; ``{root}`` and ``{env}`` stand for folders."""
    umask: int = 0o022
    flags: tuple[str, ...] = ()
    """The interpreter's."""
    folder: str = "work"


PLAIN = Asking()


def nothing(world: World, env: Path) -> None:
    """Change nothing."""


def archives() -> list[Archive]:
    """Return what the index has: wheels with all that is made, rewritten or shared in an environment."""
    return [
        Wheel("top", requires=["bottom", "shared-one", "shared-two"], console={"top-run": "top:main"},
              gui={"top-show": "top:show"}, modes={"top/tool": 0o755}, files={
                  "top/__init__.py": "def main(): print('top')\nshow = main\n", "top/tool": "#!/bin/sh\n",
                  "top/empty.py": "", "top/données.txt": "é", "top/bad.py": "def\n", "top/deep/er/x.py": "x = 1\n",
              }).build(),
        Wheel("top", "0.9", requires=["bottom"]).build(),
        Wheel("bottom", purelib=False, tag="py3-none-any", files={
            "bottom.py": "x = 1\n", "space/left/__init__.py": "", "bottom_native.so": b"\x7fELF\0\1",
        }).build(),
        Wheel("scripted", console={"made": "scripted:main"}, modes={
            "scripts/plain": 0o755, "scripts/own": 0o755,
        }, files={
            "scripted.py": "def main(): pass\n", "space/right/__init__.py": "",
        }, data={
            "scripts/own": "#!python\nprint('own')\n", "scripts/compiled.py": "#!python\nprint('compiled')\n",
            "scripts/plain": "#!/bin/sh\necho plain\n", "scripts/bytes": b"\0\1\2",
            "data/share/scripted/data.txt": "data\n", "headers/scripted.h": "int x;\n",
            "purelib/scripted_pure.py": "y = 1\n", "platlib/scripted_plat.py": "z = 1\n",
        }).build(),
        Wheel("shared-one", files={"shared/__init__.py": "", "shared/one.py": "one = 1\n"}).build(),
        Wheel("shared-two", files={"shared/two.py": "two = 2\n", "shared/one.py": "one = 'other'\n"}).build(),
        Wheel("more").build(),
        Wheel("holder", data={"data/bin/tool": "held\n", "scripts/both": "#!python\n1\n"}).build(),
        Wheel("maker", requires=["holder"], console={"tool": "maker:main"}, data={
            "scripts/both": "#!python\n2\n"}).build(),
    ]


class World:
    """The folders, and who is asked in them."""

    def __init__(self, root: Path, server: Server, manners: Manners = Manners()) -> None:  # noqa: B008
        self.root, self.server, self.manners = root, server, manners
        self.work, self.store, self.tmp = root / "work", root / "store", root / "tmp"
        self.ours, self.pip = root / "ours", root / "pip"
        self.home = root / "home"
        """That of who is asked: pip's cache of pages differs."""
        for folder in (self.work, self.tmp, root / "xdg" / "pip", root / "home", root / "hume"):
            folder.mkdir(parents=True)
        (self.work / "limits.txt").write_text("bottom<9\n", encoding="utf-8")
        for name in (*_OWN, "pip"):
            spec = importlib.util.find_spec(name)
            assert spec is not None and spec.origin is not None
            folder = Path(spec.origin).parent
            shutil.copytree(folder, (self.pip if name == "pip" else self.ours) / name)
            if name == "pip":
                (info,) = folder.parent.glob("pip-*.dist-info")
                shutil.copytree(info, self.pip / info.name)
        subprocess.run(
            [sys.executable, "-m", "compileall", "-q", self.pip, self.ours], check=False, capture_output=True
        )
        self.index = self.stock()

    def stock(self) -> Index:
        """Put the usual things on the index, and nothing else."""
        self.index = self.server.index("alike", self.manners)
        return self.index.add(*archives())

    def environment(self, name: str = "e1", *, within: Path | None = None, prefix: Path | None = None) -> Path:
        """Make an environment with pip, as fresh as the others; one that is there is removed."""
        env = prefix or (within or self.root) / name
        shutil.rmtree(env, ignore_errors=True)
        venv.EnvBuilder(symlinks=True).create(env)
        site = site_of(env)
        shutil.copytree(self.pip, site, dirs_exist_ok=True)
        (site / "running.pth").write_text(f"{self.ours}\n", encoding="utf-8")
        return env

    def environ(self, env: Path, asking: Asking) -> dict[str, str]:
        """Return the whole environment of a command."""
        base = {
            "PATH": f"{env}/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(self.home), "COLUMNS": "300",
            "TMPDIR": str(self.tmp), "XDG_CONFIG_DIRS": str(self.root / "xdg"), "VIRTUAL_ENV": str(env),
            "PIPFAST_STORE": str(self.store), "PIPFAST_WORKERS": "2", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONHASHSEED": "0",
        }
        more = {name: self.told(value, env) for name, value in asking.variables.items()}
        return {name: value for name, value in {**base, **more}.items() if value}

    def told(self, text: str, env: Path) -> str:
        return text.replace("{root}", str(self.root)).replace("{env}", str(env))

    def command(self, module: str, env: Path, *arguments: str, flags: tuple[str, ...] = ()) -> list[str]:
        return [f"{env}/bin/python", *flags, "-m", module, *arguments]

    def installing(self, env: Path, asking: Asking) -> list[str]:
        """Return the arguments of an installation."""
        words = [self.told(each, env) for each in asking.arguments]
        return ["install", *self.index.args, "--trusted-host", "127.0.0.1", *words]

    def run(self, module: str, env: Path, *arguments: str, asking: Asking = PLAIN) -> Ended:
        """Run a command of pip's or pipfast's in an environment."""
        ended = subprocess.run(
            self.command(module, env, *arguments, flags=asking.flags), env=self.environ(env, asking),
            cwd=self.told(f"{{root}}/{asking.folder}" if "{" not in asking.folder else asking.folder, env),
            umask=asking.umask, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8",
            errors="replace", timeout=100, check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def install(self, env: Path, asking: Asking = PLAIN) -> Ended:
        return self.run("pipfast", env, *self.installing(env, asking), asking=asking)

    def install_by_pip(self, env: Path, asking: Asking = PLAIN) -> Ended:
        """Have stock pip do it, with a home of its own."""
        before, self.home = self.home, self.root / "hume"
        try:
            return self.run("pip", env, *self.installing(env, asking), asking=asking)
        finally:
            self.home = before

    # What is kept.

    def answers(self) -> list[Path]:
        """Return the files of kept installations, those with ``MARK`` among them."""
        found = sorted(self.store.glob(f"{MEMO}/*/*"))
        return [path for path in found if path.is_file() and not path.read_bytes().endswith(b"\n" + ASKED)]

    def new_answers(self) -> list[Path]:
        """Return those that are whole, and have no ``MARK``."""
        return [path for path in self.answers()
                if MARK.encode() not in path.read_bytes() and read(str(self.store), path.name) is not None]

    def mark(self, path: Path) -> None:
        """Add ``MARK`` to what is kept, which no pip prints."""
        entry = read(str(self.store), path.name)
        assert entry is not None
        entry.lines.append((1, MARK.encode()))
        write_note(Layout(self.store), MEMO, path.name, entry.encoded())

    def fresh(self, name: str, before: Before = nothing, *, prefix: Path | None = None) -> Path:
        """Make an environment, as ``environment`` does, and what it is to be."""
        env = self.environment(name, prefix=prefix)
        before(self, env)
        return env

    def teach(self, asking: Asking = PLAIN, before: Before = nothing) -> bool:
        """Install into one environment after the other until it is kept, and mark it; False: it is not kept.

        :param before: makes each environment what it is.
        """
        # So that pip has its pages and archives at hand, too.
        self.install_by_pip(self.fresh("e0", before), asking)
        for number in range(LEARNING):
            env = self.fresh(f"e{number}", before)
            time.sleep(SETTLED_S)
            ended = self.install(env, asking)
            assert ended.status == 0, ended
            if new := self.new_answers():
                for path in new:
                    self.mark(path)
                return True
        return False

    def put_back(self) -> None:
        """Put the index, the constraints and the configuration back."""
        self.stock()
        (self.work / "limits.txt").write_text("bottom<9\n", encoding="utf-8")
        for folder in (self.root / "home", self.root / "hume", self.root / "xdg"):
            for path in folder.rglob("pip.conf"):
                path.unlink()

    def forget(self) -> None:
        """Remove the store, and what pip has kept."""
        for folder in (self.store, self.root / "home", self.root / "hume"):
            shutil.rmtree(folder, ignore_errors=True)
        for name in ("home", "hume"):
            (self.root / name).mkdir()


def site_of(env: Path) -> Path:
    """Return the folder of an environment's packages."""
    return env / "lib" / VERSION_TAG / "site-packages"


def picture(env: Path) -> snapshot.Tree:
    """Return all that is in an environment."""
    return snapshot.picture(env)


def plain(ended: Ended) -> Ended:
    """Return how a command ended, without times and random names, ``MARK`` and notes of pipfast's."""
    return replace(ended, out=normalized(ended.out).replace(MARK, ""), err=without_notes(normalized(ended.err))[0])
