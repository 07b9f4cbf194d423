"""System calls that fail, one in turn, in a command and all that it starts."""

from __future__ import annotations

import errno
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

SHORT, KILL = -1, -9
"""In the place of an error number: a write of half the bytes, and the process's end."""

EACH = -1
"""In the place of a call's number: all of them."""

_MAY_FAIL = {
    "open": (errno.ENOSPC, errno.EMFILE, errno.EACCES, errno.EROFS),
    "write": (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EINTR, SHORT),
    "copy_file_range": (errno.ENOSPC, errno.EXDEV, errno.EIO, SHORT),
    "sendfile": (errno.ENOSPC, errno.EIO, SHORT),
    "clone": (errno.EOPNOTSUPP, errno.ENOSPC),
    "link": (errno.EMLINK, errno.EXDEV, errno.EPERM, errno.ENOSPC),
    "symlink": (errno.ENOSPC, errno.EPERM),
    "mkdir": (errno.ENOSPC, errno.EDQUOT, errno.EROFS),
    "rename": (errno.ENOSPC, errno.EIO, errno.EXDEV),
    "unlink": (errno.EIO, errno.EROFS),
    "rmdir": (errno.EIO, errno.EBUSY),
    "chmod": (errno.EPERM,),
    "chown": (errno.EPERM,),
    "utime": (errno.EPERM,),
    "fsync": (errno.EIO, errno.ENOSPC),
    "truncate": (errno.ENOSPC, errno.EIO),
    "flock": (errno.ENOLCK, errno.EINTR),
}
"""What each call may fail with; ``chmod`` stands for all of its kind."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One call that fails."""

    at: int
    """Its number, from 1 on, or ``EACH``."""
    how: int
    """An error number, ``SHORT`` or ``KILL``."""
    call: str
    """What it was when all went well: with several workers another may have the number."""

    def __str__(self) -> str:
        how = {SHORT: "short", KILL: "killed"}.get(self.how) or errno.errorcode[self.how]
        return f"{how} at call {self.at} ({self.call})"


def compiled(name: str, folder: Path) -> Path:
    """Compile a library to be loaded with LD_PRELOAD, and return its path; raises as ``Failing`` does."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise LookupError("no C compiler")
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / f"{name}.so"
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


class Failing:
    """The library that has calls fail, and the files that it shares with this process."""

    def __init__(self, folder: Path, under: Sequence[Path]) -> None:
        """:param under: the folders below which calls count.

        :raises LookupError: there is no C compiler. CalledProcessError: it fails.
        """
        self._library = compiled("failing", folder)
        self._counter, self._log = folder / "counter", folder / "log"
        self._under = ":".join(map(str, under))

    def variables(self, fault: Fault | None = None, match: str = "") -> dict[str, str]:
        """Return what a command needs in its environment; without a fault its calls are only noted.

        :param match: only calls count in whose lines it stands, or begins with, if it begins with ``^``.
        """
        self._counter.write_bytes(bytes(8))
        self._log.write_bytes(b"")
        # An empty variable is taken away.
        at, how = (str(fault.at), str(fault.how)) if fault else ("", "")
        return {
            "LD_PRELOAD": str(self._library), "FAULT_COUNTER": str(self._counter), "FAULT_LOG": str(self._log),
            "FAULT_UNDER": self._under, "FAULT_AT": at, "FAULT_ERRNO": how, "FAULT_MATCH": match,
        }

    def calls(self) -> list[str]:
        """Return the calls of the last command, in their order: a name, and the path below its folder."""
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()


def faults(calls: Sequence[str], choice: random.Random, *, kill: bool) -> list[Fault]:
    """Return one fault for each of ``calls``.

    :param kill: the process ends there.
    """
    chosen = []
    for at, call in enumerate(calls, 1):
        how = KILL if kill else choice.choice(_MAY_FAIL[call.partition(" ")[0]])
        chosen.append(Fault(at, how, call))
    return chosen
