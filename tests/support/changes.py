"""World in which an answer was kept, and in which one thing can be changed alone.

An interpreter of its own, whose standard library is links to the running one's, an environment made with it,
copies of pip and pipfast that can be edited, an index. All is put back after each change, its looks, too.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pty
import shutil
import stat
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipfast.memo.entry import Entry, read
from pipfast.memo.facts import look
from pipfast.memo.watch import ASKED
from pipfast.store.layout import Layout
from pipfast.store.names import MEMO
from pipfast.store.notes import write_note
from support import snapshot
from support.environments import walk
from support.program import Ended
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.index import Server

MARK = "(kept)\n"
"""A line that is added to what is kept, and that no pip prints: whoever prints it gave the kept answer."""

SETTLED_S = 0.05
"""Seconds after which a file's change is no longer of just now, see ``pipfast.memo.facts``."""

LEFT_TO_PIP = 77
"""Exit code of a question without a kept answer, where pip is not to be asked."""

_DECIDING = """
import os, sys
# As with -m, and as __main__ does it.
if sys.path and sys.path[0] in ("", os.getcwd()):
    sys.path.pop(0)
import pipfast
sys.argv[0] = os.path.join(os.path.dirname(pipfast.__file__), "__main__.py")
from pipfast.targets.start import become_asked
from pipfast.memo.answer import answered
become_asked(os.path.basename(sys.argv[0]), sys.argv[1:], lambda: "")
sys.exit(answered(sys.argv[1:], lambda recording: os._exit(77)))
"""
"""What pipfast does before it asks pip."""

_STANDARD = f"python{sys.version_info[0]}.{sys.version_info[1]}"

_OWN = ("pip", "pipfast", "pipfast_hooks")

_COMPARED = ("work", "home", "venv", "links", "elsewhere", "target")
"""Folders in which pip and pipfast leave the same; others are theirs, or Python's."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How a question is put."""

    arguments: tuple[str, ...] = ("install", "-r", "top.txt")
    index: bool = True
    """The index is named, of which nothing is asked while everything is there."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """With ``{root}`` for the world's folder; an empty value takes a variable away."""
    flags: tuple[str, ...] = ()
    """The interpreter's."""
    folder: str = "work"
    umask: int = 0o022
    terminal: int = 0
    """The width of the terminal; 0: pipes."""
    closed_input: bool = False
    groups: tuple[int, ...] | None = None
    outside: bool = False
    """The interpreter that the environment was made with is asked."""


class World:
    """The folders, and who is asked in them."""

    def __init__(self, root: Path, server: Server) -> None:
        self.root = root
        self.index = server.index("memo")
        self.server = server
        self.index.add(
            Wheel("app", requires=["library"], extras={"more": ["other"]}, console={"app": "app:main"}).build(),
            Wheel("app", "2.0", requires=["library"]).build(),
            *(Wheel(name, version).build() for name in ("library", "other") for version in ("1.0", "2.0")),
            Wheel("setuptools", "70.0").build(), Wheel("pip", "99.0").build(),
        )
        self.python = root / "python" / "bin" / _STANDARD
        self.library = root / "python" / "lib" / _STANDARD
        self.outer = self.library / "site-packages"
        self.venv = root / "venv"
        self.site = self.venv / "lib" / _STANDARD / "site-packages"
        self.work, self.home, self.links = root / "work", root / "home", root / "links"
        self.ours, self.store, self.tmp = root / "ours", root / "store", root / "tmp"
        self._make()
        self._aside = root.with_name(f"{root.name}.aside")
        shutil.copytree(root, self._aside, symlinks=True)
        self._looks = dict(self._all())

    def _make(self) -> None:
        for folder in (
            self.python.parent, self.outer, self.work / "below", self.links, self.tmp, self.root / "xdg" / "pip",
            self.home / ".config" / "pip", self.home / ".pip", self.home / ".cache" / "pip",
            self.root / "elsewhere",
        ):
            folder.mkdir(parents=True)
        base = Path(sys.base_prefix).resolve()
        shutil.copy2(base / "bin" / _STANDARD, self.python)
        for each in (base / "lib" / _STANDARD).iterdir():
            if each.name != "site-packages":
                (self.library / each.name).symlink_to(each)
        self._copy_ours()
        for site in (self.outer, self.site):
            site.mkdir(parents=True, exist_ok=True)
            if site == self.outer:
                subprocess.run([self.python, "-m", "venv", "--without-pip", self.venv], check=True, env={})
        for site in (self.outer, self.site):
            (site / "running.pth").write_text(f"{self.ours}\n", encoding="utf-8")
        self.write("work/top.txt", "-r middle.txt\n")
        self.write("work/middle.txt", "-c deep.txt\napp\n")
        self.write("work/deep.txt", "library<3\n")
        self.write("work/README", "nobody reads it\n")
        for outside in (True, False):
            more = ("other==1.0",) if outside else ("setuptools",)
            asking = Asking(("install", "app==1.0", "library==1.0", *more), outside=outside)
            # Links, as most have them; the other's are pip's own.
            ended = self.run("pip" if outside else "pipfast", asking)
            assert ended.status == 0, ended
        # All bytecode, and what is noted of pip.
        for outside in (True, False):
            for name in ("pip", "pipfast"):
                ended = self.run(name, Asking(outside=outside))
                assert ended.status == 0, ended
        self.forget()

    def _copy_ours(self) -> None:
        for name in _OWN:
            spec = importlib.util.find_spec(name)
            assert spec is not None and spec.origin is not None
            folder = Path(spec.origin).parent
            shutil.copytree(folder, self.ours / name)
            if name == "pip":
                (info,) = folder.parent.glob("pip-*.dist-info")
                shutil.copytree(info, self.ours / info.name)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the world."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def info(self, name: str, *, outside: bool = False) -> Path:
        """Return a distribution's folder with METADATA."""
        return next((self.outer if outside else self.site).glob(f"{name}-*.dist-info"))

    def add_info(self, folder: Path, name: str, version: str, more: str = "") -> Path:
        """Make a folder with METADATA, as another tool installs a package."""
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        told = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}"
        (info / "METADATA").write_text(told, encoding="utf-8")
        return info

    # Who is asked.

    def environ(self, asking: Asking) -> dict[str, str]:
        """Return the whole environment of a question."""
        base = {
            "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(self.home), "TMPDIR": str(self.tmp),
            "XDG_CONFIG_DIRS": str(self.root / "xdg"), "PIPFAST_STORE": str(self.store), "PIPFAST_WORKERS": "2",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONHASHSEED": "0",
            "COLUMNS": "" if asking.terminal else "300",
            "TERM": "xterm-256color" if asking.terminal else "", "HTTPS_PROXY": "http://127.0.0.1:9",
        }
        more = {name: value.replace("{root}", str(self.root)) for name, value in asking.variables.items()}
        return {name: value for name, value in {**base, **more}.items() if value}

    def run(self, module: str, asking: Asking) -> Ended:
        """Put a question to pip or pipfast, and return how it ended.

        :param module: ``deciding`` is pipfast that gives the kept answer or ends with ``LEFT_TO_PIP``.
        """
        python = self.python if asking.outside else self.venv / "bin" / "python"
        arguments = [each.replace("{root}", str(self.root)) for each in asking.arguments]
        index = self.index.args if asking.index and arguments[:1] == ["install"] else ()
        what = ["-c", _DECIDING] if module == "deciding" else ["-m", module]
        command = [str(python), *asking.flags, *what, *arguments[:1], *index, *arguments[1:]]
        leader, stream = pty.openpty() if asking.terminal else (-1, subprocess.PIPE)
        if asking.terminal:
            fcntl.ioctl(stream, termios.TIOCSWINSZ, struct.pack("HHHH", 30, asking.terminal, 0, 0))
        if asking.closed_input:
            command = ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *command]
        process = subprocess.Popen(
            command, cwd=self.root / asking.folder, env=self.environ(asking), umask=asking.umask,
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, extra_groups=asking.groups,
        )
        if asking.terminal:
            os.close(stream)
            return Ended(process.wait(60), _written(leader), "")
        out, err = process.communicate(timeout=60)
        return Ended(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))

    # What is kept.

    def kept(self) -> list[Path]:
        """Return the files of kept answers."""
        found = sorted(self.store.glob(f"{MEMO}/*/*"))
        return [path for path in found if not path.read_bytes().endswith(b"\n" + ASKED)]

    def forget(self) -> None:
        """Remove all kept answers."""
        for path in self.store.glob(f"{MEMO}/*/*"):
            path.unlink()

    def take(self) -> tuple[str, Entry]:
        """Return the key of the one answer that is kept, and the answer."""
        (path,) = self.kept()
        entry = read(str(self.store), path.name)
        assert entry is not None
        return path.name, entry

    def keep(self, key: str, entry: Entry) -> None:
        """Keep an answer with ``MARK``, as if it had been given just now."""
        facts = [(path, look(path, seen.partition(" ")[0])) for path, seen in entry.facts]
        lines = [*entry.lines, (1, MARK.encode())]
        again = Entry(entry.made, entry.until, entry.temporary, entry.is_proof, facts, lines)
        write_note(Layout(self.store), MEMO, key, again.encoded())

    # What is there, and how it was.

    def picture(self) -> snapshot.Tree:
        """Return all files but those of pip, pipfast and Python."""
        folders = [self.outer, *(self.root / name for name in _COMPARED)]
        return {
            f"{folder.name}/{path}": entry for folder in folders if folder.is_dir()
            for path, entry in snapshot.picture(folder).items() if not path.startswith(".cache/")
        }

    def _all(self) -> Iterator[tuple[str, tuple[object, ...]]]:
        for name, path in walk(self.root):
            yield name, _looks(path.lstat())

    def put_back(self) -> None:
        """Make everything as it was when the world was made."""
        self.server.rewind()
        now = dict(self._all())
        for name in sorted(now, reverse=True):
            path, source = self.root / name, self._aside / name
            if now[name] == self._looks.get(name) or not _is_there(path):
                continue
            if not _is_folder(path):
                path.unlink()
            elif name in self._looks and _is_folder(source):
                path.chmod(0o755)
            else:
                shutil.rmtree(path)
        changed = [name for name in sorted(self._looks) if now.get(name) != self._looks[name]]
        for name in changed:
            path, source = self.root / name, self._aside / name
            if _is_folder(source):
                path.mkdir(exist_ok=True)
            else:
                shutil.copy2(source, path, follow_symlinks=False)
        for name in sorted(self._looks, reverse=True):
            found, was = (self.root / name).lstat(), (self._aside / name).lstat()
            if name in changed:
                os.chown(self.root / name, was.st_uid, was.st_gid, follow_symlinks=False)
            if stat.S_ISDIR(was.st_mode):
                if found.st_mode != was.st_mode:
                    (self.root / name).chmod(was.st_mode & 0o7777)
                if found.st_mtime_ns != was.st_mtime_ns:
                    os.utime(self.root / name, ns=(was.st_atime_ns, was.st_mtime_ns))
            if name in changed:
                self._looks[name] = _looks((self.root / name).lstat())

    def settle(self) -> None:
        """Wait until what has changed has not changed just now."""
        time.sleep(SETTLED_S)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _looks(found: os.stat_result) -> tuple[object, ...]:
    plain = found.st_mode, found.st_uid, found.st_gid
    if stat.S_ISDIR(found.st_mode):
        return plain
    return *plain, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _written(leader: int) -> str:
    blocks = []
    while True:
        try:
            block = os.read(leader, 1 << 16)
        except OSError:
            # Linux' way to say that nobody has the terminal open any more.
            break
        blocks.append(block)
    os.close(leader)
    return b"".join(blocks).decode("utf-8", "replace")
