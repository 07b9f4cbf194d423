"""Places of random worlds: what lies in them before a run, and what damages the store."""

from __future__ import annotations

import io
import random
import shutil
import zipfile
from enum import Enum
from typing import TYPE_CHECKING

from support.environments import VERSION_TAG

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.environments import Places
    from support.wheels import Archive

SECOND = "second/bin/python"
"""The interpreter of a second environment in the work folder; it has no pip."""


class Present(Enum):
    """In which form something is installed before the first command."""

    BY_PIP = "as pip does it"
    BY_CONDA = "by another installer"
    NO_RECORD = "without RECORD"
    NO_METADATA = "without METADATA"
    EDITABLE = "as an editable one"
    EGG_INFO = "with an .egg-info folder"
    EGG_INFO_FILE = "with an .egg-info file"
    LEFT_OVER = "as what a broken uninstall has left"


def place(archive: Archive, form: Present, site_packages: Path) -> None:
    """Put a wheel's files into an environment without pip."""
    stem = "-".join(archive.filename.split("-")[:2])
    with zipfile.ZipFile(io.BytesIO(archive.data)) as opened:
        opened.extractall(site_packages)
    info = site_packages / f"{stem}.dist-info"
    module = stem.partition("-")[0].lower()
    (info / "INSTALLER").write_text("conda\n" if form is Present.BY_CONDA else "pip\n", "utf-8")
    record = info / "RECORD"
    record.write_text(f"{record.read_text('utf-8')}{stem}.dist-info/INSTALLER,,\n", "utf-8")
    if form is Present.NO_RECORD:
        record.unlink()
    elif form is Present.NO_METADATA:
        (info / "METADATA").unlink()
    elif form is Present.EDITABLE:
        direct_url = '{"dir_info": {"editable": true}, "url": "file:///nowhere"}'
        (info / "direct_url.json").write_text(direct_url, "utf-8")
    elif form is Present.LEFT_OVER:
        info.rename(site_packages / f"~{stem[1:]}.dist-info")
    elif form in (Present.EGG_INFO, Present.EGG_INFO_FILE):
        metadata = (info / "METADATA").read_bytes()
        shutil.rmtree(info)
        egg_info = site_packages / f"{stem}-py{VERSION_TAG.removeprefix('python')}.egg-info"
        if form is Present.EGG_INFO_FILE:
            egg_info.write_bytes(metadata)
        else:
            egg_info.mkdir()
            (egg_info / "PKG-INFO").write_bytes(metadata)
            (egg_info / "top_level.txt").write_text(f"{module}\n", "utf-8")
            (egg_info / "installed-files.txt").write_text(f"../{module}/__init__.py\nPKG-INFO\n", "utf-8")


def add_second_environment(places: Places) -> None:
    """Make an environment in the work folder, as ``venv`` does without pip."""
    root = places.work / "second"
    (root / "bin").mkdir(parents=True)
    (root / "lib" / VERSION_TAG / "site-packages").mkdir(parents=True)
    python = places.python.resolve()
    # As ``venv`` writes it from the first environment, or from an interpreter's own prefix.
    own = places.env / "pyvenv.cfg"
    text = own.read_text("utf-8") if own.exists() else f"home = {python.parent}\n"
    (root / "pyvenv.cfg").write_text(text, "utf-8")
    (places.work / SECOND).symlink_to(python)


def wounding(seed: int) -> Callable[[Places], None]:
    """Return what damages a few files of the store, or takes them away."""

    def wound(places: Places) -> None:
        chance = random.Random(seed)
        files = sorted(path for path in places.store.rglob("*") if path.is_file() and path.parent != places.store)
        for path in chance.sample(files, min(len(files), 3)):
            kind = chance.choice(["flip", "cut", "empty", "gone", "folder", "chmod", "touch", "drop"])
            content = path.read_bytes() if path.is_file() else b""
            if not path.exists():
                continue
            if kind == "flip" and content:
                at = chance.randrange(len(content))
                flipped = content[at] ^ 1 << chance.randrange(8)
                path.write_bytes(content[:at] + bytes([flipped]) + content[at + 1 :])
            elif kind == "cut":
                path.write_bytes(content[: len(content) // 2])
            elif kind == "empty":
                path.write_bytes(b"")
            elif kind == "chmod":
                path.chmod(0o600)
            elif kind == "touch":
                path.touch()
            elif kind == "drop":
                shutil.rmtree(path.parent)
            else:
                path.unlink()
                if kind == "folder":
                    path.mkdir()

    return wound
