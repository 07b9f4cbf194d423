"""Pythons whose venv and virtualenv attach what they make."""

from __future__ import annotations

import glob
import os
import shutil
import site
import sys
import sysconfig
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from pipfast.plugin import files
from pipfast.plugin.environment import NotAttachable, answer_of, check_trusted, run_python

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUESTION = r"""
import sys
# Nothing of the current folder is imported.
sys.path[:] = [each for each in sys.path if each]
import json, site, sysconfig
runner, = sys.argv[1:]
code = {"__name__": "runner", "__file__": runner}
with open(runner, "rb") as file:
    exec(compile(file.read(), runner, "exec"), code)
answer = {"python": sys.executable, "why_not": code["unsupported"](), "place": ""}
if site.ENABLE_USER_SITE:
    answer["place"] = site.getusersitepackages()
elif sys.prefix != sys.base_prefix:
    answer["place"] = sysconfig.get_path("purelib")
answer["of_user"] = bool(site.ENABLE_USER_SITE)
print("\n" + json.dumps(answer))
"""
"""Program that a Python executes; without ``-I``, which switches the user site off."""

_CHECK = "import sys; sys.exit(0 if '_pipfast_environments' in sys.modules else 1)"

_FOLDER_MODE = 0o755
"""Nobody else writes where each of the user's Pythons looks for modules, whatever the umask."""


@dataclass(frozen=True, slots=True)
class Maker:
    """A Python that can run venv or virtualenv.

    :param place: its user site; if it is a virtual environment, which has none, its site-packages; empty if it has
        neither.
    :param of_user: the place is a user site.
    :param why_not: why pipfast does not run there, empty if it does.
    """

    python: str
    place: str
    of_user: bool
    why_not: str

    def check(self) -> None:
        """Do nothing if it can be switched on by this user.

        :raises NotAttachable: there is a reason against it.
        """
        if self.why_not:
            raise NotAttachable(f"{self.python} cannot be attached: {self.why_not}")
        if not self.place:
            raise NotAttachable(f"{self.python} reads no user site",
                                "PYTHONNOUSERSITE, -s and sudo switch it off")
        there = _existing(Path(self.place))
        if hasattr(os, "geteuid") and there.stat().st_uid != os.geteuid():
            raise NotAttachable(f"{there} belongs to another user")


def ask_maker(python: str, runner: Path) -> Maker:
    """Return what a Python says of itself.

    :param runner: pipfast's ``runner.py``, which knows what is supported.
    :raises NotAttachable: it does not answer.
    """
    return Maker(**answer_of(python, [], _QUESTION, str(runner)))


def makers_on_path(runner: Path) -> list[Maker]:
    """Return the supported Pythons on PATH, and the one below this, that read a user site: one for each."""
    found: dict[str, Maker] = {}
    for python in dict.fromkeys(_candidates()):
        try:
            maker = ask_maker(python, runner)
        except NotAttachable:
            # A version manager has a program of this name, and no Python for it.
            continue
        if maker.of_user and not maker.why_not:
            found.setdefault(maker.place, maker)
    return list(found.values())


def switch_on(maker: Maker, folder: Path) -> bool:
    """Let a Python's venv and virtualenv attach what they make; return False if they do so already.

    :param folder: pipfast's.
    :raises NotAttachable: it cannot be done, or the Python does not take notice.
    :raises ForeignFile: a file has one of the names and is not ours.
    :raises OSError: a file cannot be written.
    """
    maker.check()
    place = Path(maker.place)
    made = [path for path in (place, *place.parents) if not path.exists()]
    of_others = _made_folders()
    ours = takewhile(lambda path: path in made or path in of_others, (place, *place.parents))
    try:
        for path in reversed(made):
            path.mkdir(mode=_FOLDER_MODE)
        check_trusted(folder, place)
        new = files.attach(place, folder, files.OF_MAKERS, len(list(ours)))
    except BaseException:
        files.remove_folders(made)
        raise
    if new and run_python(maker.python, [], _CHECK).returncode:
        switch_off(place)
        raise NotAttachable(f"{maker.python} does not read .pth files in {place}")
    return new


def switch_off(place: Path) -> bool:
    """Take back ``switch_on``; return False if there is nothing to take back.

    :raises ForeignFile: a file has one of the names and is not ours.
    :raises OSError: a file cannot be removed.
    """
    return place.is_dir() and files.detach(place, files.OF_MAKERS) is not None


def switched_on() -> list[Path]:
    """Return this user's sites that have a file of ours, of whichever Python; and that of this environment."""
    scheme = sysconfig.get_preferred_scheme("user")
    pattern = sysconfig.get_path("purelib", scheme, {
        "userbase": glob.escape(site.getuserbase()), "abi_thread": "",
        **dict.fromkeys(("py_version_short", "py_version_nodot", "py_version_nodot_plat"), "*"),
    })
    places = [*map(Path, sorted(glob.glob(pattern))), Path(sysconfig.get_path("purelib"))]
    return [place for place in dict.fromkeys(places)
            if any(os.path.lexists(place / name) for name in files.OF_MAKERS.names)]


def _candidates() -> Iterator[str]:
    names = (*(f"python3.{minor}" for minor in range(10, 20)), "python3", "python")
    folders = [each for each in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(each)]
    for name in names:
        found = shutil.which(name, path=os.pathsep.join(folders))
        if found:
            yield found
    # An active environment's Python hides it on PATH.
    yield getattr(sys, "_base_executable", "") or sys.executable


def _made_folders() -> set[Path]:
    """Return the folders that were made for this, and go with the last that uses them."""
    found = ((place, files.look(place, files.OF_MAKERS)) for place in switched_on())
    return {path for place, there in found if there for path in (place, *place.parents)[:there.made_folders]}


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())
