"""Stored files linked aside and moved into the environment.

Making some thousand folders is most of what placing costs. It is done in worker processes, beside the
resolver, in a folder on the store's filesystem; installing then renames a few top-level folders. What
the environment has already is merged into, folder by folder.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pipfast.errors import PipfastError
from pipfast.install.linker import Linker
from pipfast.install.place import inherits_nothing, place
from pipfast.install.plan import Batch, check_sources, plan_wheel
from pipfast.wheel.members import SCHEME_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pipfast.settings import LinkMode
    from pipfast.store.prepared import Prepared

LIB = "lib"
"""Where the wheel's root is, beside one folder for each scheme key of its ``.data``."""


class Unmovable(PipfastError):
    """New files would be others than renamed ones, or go through a symbolic link; or there is nothing to move."""


def arrange(prepared: Prepared, folder: Path, mode: LinkMode, umask: int, mend: Callable[[], bool]) -> bool:
    """Link all of a wheel's files but its scripts below ``folder``; those of one environment's own are copied.

    :param mend: puts stored files right that look otherwise than they did; tells whether all are right then.
    :returns: False where files would have to be copied, or are not as they were stored.
    :raises OSError: something could not be written; what was written stays.
    """
    schemes = {key: f"{folder}/{key}" for key in SCHEME_KEYS}
    # Scripts are rewritten: none is linked.
    plan = plan_wheel(prepared, schemes, f"{folder}/{LIB}", lambda name: True)
    if check_sources(plan.batches) is not None and not (mend() and check_sources(plan.batches) is None):
        return False
    linker = Linker(mode, umask)
    for batch in plan.batches:
        place([batch], linker)
        if linker.mode == "copy":
            return False
    return True


def scripts(batches: Sequence[Batch], info_dir: str) -> list[Batch]:
    """Return what remains to be placed when everything that ``arrange`` made was moved.

    :param info_dir: full path of the .dist-info folder.
    """
    return [batch for batch in batches if batch.private and batch.target != info_dir]


def move(folder: Path, info_dir: str, lib_dir: str, schemes: Mapping[str, str]) -> None:
    """Move what ``arrange`` made into an environment, save for the .dist-info folder: that is ``move_info``'s.

    :param info_dir: name of the .dist-info folder.
    :raises OSError: perhaps after a part was moved, of which each file is one that placing would put there.
    :raises Unmovable: new files in a folder of the environment would have another group or other access rights,
        or a symbolic link has the name of one.
    """
    if not os.path.isdir(f"{folder}/{LIB}/{info_dir}"):
        raise Unmovable(f"nothing of {info_dir} is in {folder}")
    for target, name in ((lib_dir, LIB), *((schemes[key], key) for key in SCHEME_KEYS)):
        source = f"{folder}/{name}"
        if os.path.isdir(source):
            os.makedirs(target, exist_ok=True)
            _merge(source, target, info_dir if name == LIB else "")


def move_info(folder: Path, info_dir: str, lib_dir: str) -> None:
    """Move the .dist-info folder, which says that a package is there: in one step, or with RECORD last.

    :raises OSError: as ``move`` does.
    :raises Unmovable: as ``move`` does.
    """
    source, target = f"{folder}/{LIB}/{info_dir}", f"{lib_dir}/{info_dir}"
    if os.path.lexists(target):
        _merge(source, target, "RECORD")
        if os.path.islink(f"{target}/RECORD"):
            raise Unmovable(f"{target}/RECORD is a symbolic link")
        os.rename(f"{source}/RECORD", f"{target}/RECORD")
    else:
        os.rename(source, target)


def _merge(source: str, target: str, but: str = "") -> None:
    _refuse_inheriting(source, target)
    with os.scandir(source) as entries:
        for entry in entries:
            destination = f"{target}/{entry.name}"
            if entry.name == but:
                continue
            if entry.is_dir(follow_symlinks=False) and os.path.lexists(destination):
                _merge(entry.path, destination)
            elif os.path.islink(destination):
                raise Unmovable(f"{destination} is a symbolic link")
            else:
                # A file replaces what has its name, as under pip; where that is a folder, both fail.
                os.rename(entry.path, destination)


def _refuse_inheriting(source: str, target: str) -> None:
    """Refuse a folder in which a new one would not be as that which was made elsewhere."""
    made, found = os.stat(source), os.stat(target)
    if not inherits_nothing(target, found) or made.st_mode & stat.S_ISGID or made.st_gid != found.st_gid:
        raise Unmovable(f"new files in {target} get its group or its access list")
