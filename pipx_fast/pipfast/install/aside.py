"""Stored files linked aside and moved into the environment.

Worker processes link them while pip resolves, in a folder on the store's filesystem; installing then renames a few
top-level folders, and merges those that the environment has already.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pipfast.errors import PipfastError
from pipfast.install.linker import Linker
from pipfast.install.place import inherits_nothing, place
from pipfast.install.plan import Batch, check_sources, plan_wheel
from pipfast.wheel.scheme import SCHEME_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pipfast.settings import LinkMode
    from pipfast.store.prepared import Prepared

LIB = "lib"
"""The folder of the wheel's root; beside it is one for each scheme key of its ``.data``."""


class Unmovable(PipfastError):
    """Renaming would give other files than placing does, or there is nothing to move."""


def arrange(
    prepared: Prepared, folder: Path, mode: LinkMode, umask: int, mend: Callable[[], object] | None
) -> bool:
    """Link a wheel's files below ``folder``, all but its scripts; copy those that are private to an environment.

    :param mend: puts changed stored files right; returns what cannot be, or None. None in its place: they were
        written just now, and are not compared.
    :returns: False if files have to be copied, or are not as they were stored.
    :raises OSError: something could not be written; files written before stay.
    """
    schemes = {key: f"{folder}/{key}" for key in SCHEME_KEYS}
    # No script is linked, since installing rewrites them.
    plan = plan_wheel(prepared, schemes, f"{folder}/{LIB}", lambda name: True)
    if mend is not None and check_sources(plan.batches) is not None:
        if mend() or check_sources(plan.batches) is not None:
            return False
    linker = Linker(mode, umask)
    for batch in plan.batches:
        place([batch], linker)
        if linker.mode == "copy":
            return False
    return True


def scripts(batches: Sequence[Batch], info_dir: str) -> list[Batch]:
    """Return the batches that remain to be placed after ``move``.

    :param info_dir: full path of the .dist-info folder.
    """
    return [batch for batch in batches if batch.private and batch.target != info_dir]


def move(folder: Path, info_dir: str, lib_dir: str, schemes: Mapping[str, str]) -> None:
    """Move the files that ``arrange`` made into an environment, all but the .dist-info folder (see ``move_info``).

    :param info_dir: name of the .dist-info folder.
    :raises OSError: perhaps after some files were moved; placing would put the same ones there.
    :raises Unmovable: new files in a folder of the environment would get another group or other access rights,
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
    """Move the .dist-info folder, which makes pip see the package: in one step, or with RECORD last.

    Raises as ``move`` does.
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
    made, found = os.stat(source), os.stat(target)
    # New files would get another group or access list there than those of `source` have.
    if not inherits_nothing(target, found) or made.st_mode & stat.S_ISGID or made.st_gid != found.st_gid:
        raise Unmovable(f"new files in {target} get its group or its access list")
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
                # A file replaces another, as under pip; if a folder has its name, both fail.
                os.rename(entry.path, destination)
