"""Rows of our own RECORD for bytecode of other Pythons."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from pipfast import __version__

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""Folder that our packages are installed in; in a checkout there is no RECORD beside them."""

_ROWS = (b"pipfast,,", b"pipfast_hooks,,")
"""A folder has no hash and no size."""

_LAST_BYTES = 64
"""Bytes at RECORD's end that have both rows, as nobody else adds any."""


def record_folders(root: str = ROOT) -> None:
    """Have the folders of our packages in RECORD: uninstalling removes them with the bytecode of every Python.

    pip removes what RECORD lists, and of bytecode that of the Python that it runs in. A row that names a folder
    has pip 23.0 to 26.3 and uv remove it with all that is in it. The wheel cannot have such rows: indexes refuse a
    row that no member stands for.
    """
    info = f"{root}/pipfast-{__version__}.dist-info"
    # Whoever may not write here writes no bytecode beside it either.
    if not os.access(info, os.W_OK):
        return
    with suppress(OSError):
        record = f"{info}/RECORD"
        with open(record, "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            file.seek(max(0, status.st_size - _LAST_BYTES))
            if tuple(file.read().split()[-2:]) == _ROWS:
                return
            file.seek(0)
            old = file.read()
        new = _completed(old)
        if new != old:
            # A row removes what a kill leaves there.
            _replace(record, new, status, f"{root}/pipfast/.RECORD-{os.urandom(8).hex()}")


def _completed(old: bytes) -> bytes:
    """Return RECORD with the rows that it lacks; an empty one stays so."""
    missing = [row for row in _ROWS if b"\n" + row not in old] if old else []
    # pip writes the line ends of the csv module, uv those of Unix.
    end = b"\r\n" if b"\r\n" in old else b"\n"
    gap = end if missing and not old.endswith(b"\n") else b""
    return old + gap + b"".join(row + end for row in missing)


def _replace(path: str, content: bytes, status: os.stat_result, aside: str) -> None:
    """Replace a file; a write to it could act on another environment's, by a hard link, and be cut off.

    :param status: the file's; the new one gets its mode, owner and times.
    :raises OSError: it cannot be written, or the file is another one by now.
    """
    try:
        with open(aside, "xb") as file:
            file.write(content)
            file.flush()
            # Empty after a power failure, it would keep pip from uninstalling.
            os.fsync(file.fileno())
        os.chmod(aside, stat.S_IMODE(status.st_mode))
        # In root's run; elsewhere there is nothing to change, or nobody may.
        with suppress(OSError, AttributeError):
            os.chown(aside, status.st_uid, status.st_gid)
        os.utime(aside, ns=(status.st_atime_ns, status.st_mtime_ns))
        if _identity(os.stat(path)) != _identity(status):
            # pip is upgrading pipfast, or another start was faster.
            raise FileExistsError(path)
        os.replace(aside, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(aside)
        raise


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns
