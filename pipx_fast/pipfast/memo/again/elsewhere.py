"""An environment's paths, text and files, told the same of each alike.

Imported before pip, as ``question`` is.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import blake2b
else:
    # hashlib loads OpenSSL, which takes longer than all that is done here.
    try:
        from _blake2 import blake2b
    except ImportError:
        from hashlib import blake2b

__all__ = ("HERE", "Environment", "blake2b")

HERE = "\x01"
"""Stands for the folder of the environment."""

LARGEST = 4 << 20
"""Bytes beyond which a file's content is not compared."""

_ABOUT_ITSELF = (b"command", b"prompt")
"""Keys of ``pyvenv.cfg`` that nobody reads but people and their prompts.

https://docs.python.org/3/library/venv.html"""

_BEFORE_A_PATH = frozenset("'\"=!: \t\r\n([,;")
"""What may stand before a path; ``/mnt`` before it, or ``http://host``, begins another one."""

_AFTER_A_FOLDER = frozenset("/'\"=: \t\r\n)],;\\")
"""What may stand after a folder; others are taken for a part of its name. Backslashes are those of ``repr``."""


class Environment:
    """A virtual environment, by its folder.

    :param prefix: full path.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._inside = f"{prefix}/"

    def neutral(self, text: str) -> str:
        """Return a text with ``HERE`` in the place of the folder, where that is a whole path or begins one."""
        before, *others = text.split(self.prefix)
        parts = [before]
        for each in others:
            is_whole = _begins_path(before) and (not each or each[0] in _AFTER_A_FOLDER)
            parts += [HERE if is_whole else self.prefix, each]
            before = each
        return "".join(parts)

    def neutral_bytes(self, content: bytes) -> bytes:
        """Return what ``neutral`` returns of a text."""
        if os.fsencode(self.prefix) not in content:
            return content
        return os.fsencode(self.neutral(os.fsdecode(content)))

    def full_bytes(self, kept: bytes) -> bytes:
        """Return what ``neutral_bytes`` was given, of this environment."""
        return kept.replace(os.fsencode(HERE), os.fsencode(self.prefix))

    def has(self, path: str) -> bool:
        """Tell whether a full path is that of the folder, or of something below it."""
        return path == self.prefix or path.startswith(self._inside)

    def relative(self, path: str) -> str:
        """Return a path of the environment's as it is kept."""
        return HERE + path[len(self.prefix) :]

    def full(self, kept: str) -> str:
        """Return the full path of what ``relative`` has returned; other paths are what they are."""
        return self.prefix + kept[1:] if kept.startswith(HERE) else kept

    def look(self, path: str, way: str) -> str:
        """Return what is seen of a file or folder now, perhaps an error, in words that are the same elsewhere.

        :param way: as in ``facts``, in capitals: what is in it counts, and not when it was made.
        """
        kind = way[0]
        try:
            if kind == "A":
                return f"{way} {os.access(path, int(way[1:]))}"
            found = os.lstat(path) if kind == "L" else os.stat(path)
            plain = f"{kind} {found.st_mode:o} {found.st_uid} {found.st_gid}"
            if stat.S_ISLNK(found.st_mode):
                return f"{plain} {self.neutral(os.readlink(path))!a}"
            if stat.S_ISDIR(found.st_mode):
                return f"{plain} {_digest(_names(path))}" if kind == "N" else plain
            if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
                # Never the same twice.
                return f"{plain} {os.urandom(8).hex()}"
            return f"{plain} {_digest(self._content(path))}"
        except OSError as error:
            return f"{kind} {error.errno}"
        except ValueError:
            return f"{kind} ?"

    def _content(self, path: str) -> bytes:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            blocks = []
            while block := os.read(descriptor, LARGEST):
                blocks.append(block)
        finally:
            os.close(descriptor)
        content = b"".join(blocks)
        if path == f"{self.prefix}/pyvenv.cfg":
            lines = content.splitlines(keepends=True)
            content = b"".join(
                line for line in lines if line.partition(b"=")[0].strip().lower() not in _ABOUT_ITSELF)
        return self.neutral_bytes(content)

    def is_plain(self) -> bool:
        """Tell whether the folder is where its path says: no part of that is a symbolic link."""
        return os.path.realpath(self.prefix) == self.prefix


def _begins_path(before: str) -> bool:
    """Tell whether what stands before a path is no part of it, nor of an address."""
    return not before or (before[-1] in _BEFORE_A_PATH and "://" not in before[before.rfind(" ") + 1 :])


def _names(folder: str) -> bytes:
    return b"\0".join(map(os.fsencode, sorted(os.listdir(folder))))


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=20).hexdigest()
