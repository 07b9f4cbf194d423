"""Wheels of rescued and unisolated builds, with what they were built against.

The wheel is one of the store's archives; a note has its source, and the versions and archives that its build saw.
pip's own cache knows the source and the interpreter only.
"""

from __future__ import annotations

import email.parser
import hashlib
import json
import platform
import re
import sys
import sysconfig
import time
import zipfile
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pipfast.requirements import canonicalize_name
from pipfast.rescue.messages import BUILD_TOOLS
from pipfast.store.archives import Archive, add_archive, find_archive, is_sound, sha256_of
from pipfast.store.names import BUILT
from pipfast.store.notes import keep_note, load_note, note_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pipfast.store.layout import Layout

STEERING = frozenset({
    "AR", "ARCHFLAGS", "BLIS_ARCH", "CC", "CFLAGS", "CPATH", "CPLUS_INCLUDE_PATH", "CPP", "CPPFLAGS", "CXX",
    "CXXFLAGS", "C_INCLUDE_PATH", "F77", "F90", "FC", "FFLAGS", "FORCE_CUDA", "FORCE_MPS", "LD", "LDFLAGS",
    "LDSHARED", "LIBRARY_PATH", "MACOSX_DEPLOYMENT_TARGET", "NO_CUDA", "NVCC", "OPT", "PKG_CONFIG_PATH",
    "SDKROOT", "SOURCE_DATE_EPOCH", "USE_CUDA", "USE_ROCM", "WITH_CUDA", "_PYTHON_HOST_PLATFORM",
})
"""Environment variables that change a build's result: they are part of a wheel's key."""

STEERING_PATTERN = re.compile(
    r"(?:APEX|CMAKE|CUDA|CUDNN|CUTLASS|DS_BUILD|FLASH|HIP|MAMBA|NCCL|NPY|NVCC|NVTE|PYTORCH|ROCM|SETUPTOOLS_SCM_PRETEND"
    r"|SKBUILD|TORCH|XFORMERS)_.*|.*_(?:SKIP_CUDA_BUILD|FORCE_BUILD|FORCE_CUDA|WITH_CUDA|USE_CUDA|CUDA_ARCH_LIST)"
)
"""Names of further such variables."""

MAX_VARIANTS = 16
"""Wheels that are kept of one source and interpreter; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Visible:
    """One distribution that a build saw, by rescue or by the user's choice."""

    name: str
    version: str
    archive: str | None = None
    """SHA-256 of the wheel it came from, if known."""
    record: str | None = None
    """``record_digest`` of its RECORD, if it is installed."""
    needed: bool = True
    """The build itself missed it; False for its dependencies."""

    def is_as(self, other: Visible) -> bool:
        """Tell whether both are the same files, by the wheel or the record that both have."""
        if (canonicalize_name(self.name), self.version) != (canonicalize_name(other.name), other.version):
            return False
        pairs = ((self.archive, other.archive), (self.record, other.record))
        return any(first == second for first, second in pairs if first and second)


@dataclass(frozen=True, slots=True)
class BuiltWheel:
    """One wheel, and the distributions that it was built against."""

    name: str
    version: str
    filename: str
    digest: str
    source: str
    built: float
    """Seconds since the epoch."""
    record: str
    """``record_digest`` of its own RECORD, by which its installations are known."""
    visible: tuple[Visible, ...]
    origin: str = ""
    """Of a wheel of the team's store: where and when it was built."""


def key_of(source: str, config_settings: object, environ: Mapping[str, str]) -> str:
    """Return the key of a source's wheels: 64 hex digits. ``source``: as ``learnt.source_key`` has it."""
    parts = {
        "source": source,
        "interpreter": [sys.implementation.cache_tag, sysconfig.get_config_var("SOABI") or ""],
        "platform": [sysconfig.get_platform(), *platform.libc_ver()],
        "settings": config_settings or {},
        "variables": {name: value for name, value in environ.items()
                      if name in STEERING or STEERING_PATTERN.fullmatch(name)},
    }
    return note_key(parts)


def record_digest(record: str) -> str:
    """Return the SHA-256 of a RECORD's rows, without those that differ from environment to environment."""
    rows = []
    for row in record.splitlines():
        path, _, rest = row.rpartition(",")[0].rpartition(",")
        name = path.rpartition("/")[2]
        # Files of a wheel's data folder are elsewhere once it is installed.
        moved = path.startswith(("../", "/")) or path.partition("/")[0].endswith(".data")
        if rest and not moved and name not in ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD"):
            rows.append(row)
    return hashlib.sha256("\n".join(sorted(rows)).encode("utf-8")).hexdigest()


def _read_info(wheel: Path, name: str, errors: str = "strict") -> str:
    with zipfile.ZipFile(wheel) as archive:
        path = next(each for each in archive.namelist() if re.fullmatch(rf"[^/]+\.dist-info/{name}", each))
        return archive.read(path).decode("utf-8", errors)


def requires_of(wheel: Path) -> list[str]:
    """Return a wheel's ``Requires-Dist``."""
    message = email.parser.HeaderParser().parsestr(_read_info(wheel, "METADATA", "replace"))
    return [str(each) for each in message.get_all("Requires-Dist", ())]


def record_of_archive(layout: Layout, digest: str) -> str | None:
    """Return the ``record_digest`` of a wheel in the store, or None if it is not there or no wheel."""
    archive = find_archive(layout, digest)
    if archive is None:
        return None
    try:
        return record_digest(_read_info(archive.path, "RECORD"))
    except (OSError, ValueError, KeyError, StopIteration, zipfile.BadZipFile):
        return None


def has(layout: Layout, key: str) -> bool:
    """Tell whether there is any wheel of this key."""
    return bool(_variants(layout, key))


def find(layout: Layout, key: str, visible: Sequence[Visible]) -> tuple[BuiltWheel, Archive] | None:
    """Return a wheel whose build saw exactly these distributions, if it is still in the store."""
    for built in _variants(layout, key):
        if len(built.visible) == len(visible) and all(
            any(each.is_as(other) for other in visible) for each in built.visible
        ):
            archive = find_archive(layout, built.digest)
            if archive is not None and is_sound(layout, archive):
                return built, archive
    return None


def keep(
    layout: Layout, key: str, wheel: Path, name: str, source: str, visible: Iterable[Visible]
) -> BuiltWheel | None:
    """Keep a wheel that was just built; None if that is not possible."""
    digest = sha256_of(wheel)
    if add_archive(layout, wheel, digest, wheel.name, move=False) is None:
        return None
    built = _built(wheel, digest, name, source, visible)
    note_built(layout, key, built)
    return built


def note_built(layout: Layout, key: str, built: BuiltWheel) -> None:
    """Keep the note about a wheel of the store, beside those that were built against others."""
    others = [each for each in _variants(layout, key) if each.visible != built.visible]
    keep_note(layout, BUILT, key, [asdict(each) for each in (*others[-MAX_VARIANTS + 1 :], built)])


def note_cached(layout: Layout, key: str, wheel: Path, name: str, source: str, visible: Iterable[Visible]) -> None:
    """Keep the note about a wheel for pip's cache, in the place of an earlier one."""
    keep_note(layout, BUILT, key, [asdict(_built(wheel, sha256_of(wheel), name, source, visible))])


def _built(wheel: Path, digest: str, name: str, source: str, visible: Iterable[Visible]) -> BuiltWheel:
    _, version, record = facts_of(wheel)
    return BuiltWheel(name, version, wheel.name, digest, source, time.time(), record, tuple(visible))


def facts_of(wheel: Path) -> tuple[str, str, str]:
    """Return a wheel's name and version, as its file name has them, and the ``record_digest`` of its RECORD."""
    # Not packaging's `parse_wheel_filename`: it changes the version's spelling, and refuses old versions.
    name, version = wheel.name.split("-")[:2]
    return name, version, record_digest(_read_info(wheel, "RECORD"))


def find_cached(layout: Layout, key: str, wheel: Path) -> BuiltWheel | None:
    """Return the note about a wheel in pip's cache, if it is that very wheel."""
    return next((each for each in _variants(layout, key) if each.digest == sha256_of(wheel)), None)


def all_built(layout: Layout) -> Iterator[BuiltWheel]:
    """Yield all wheels with a note; their archives may be gone."""
    for path in sorted((layout.root / BUILT).glob("??/*")):
        yield from _variants(layout, path.name)


def stale(layout: Layout, there: Mapping[str, tuple[str, str]]) -> Iterator[tuple[BuiltWheel, list[str]]]:
    """Yield the installed wheels, and how what they were built against differs; build tools do not count."""
    for built in all_built(layout):
        if there.get(canonicalize_name(built.name)) != (built.version, built.record):
            continue
        differences = [
            f"{each.name} {each.version}, and {there[canonicalize_name(each.name)][0]} is here"
            for each in built.visible
            if each.needed and canonicalize_name(each.name) not in BUILD_TOOLS
            and canonicalize_name(each.name) in there and there[canonicalize_name(each.name)][0] != each.version
        ]
        yield built, differences


def _variants(layout: Layout, key: str) -> list[BuiltWheel]:
    return load_note(layout, BUILT, key, _read) or []


def _read(payload: bytes) -> list[BuiltWheel]:
    found = []
    for each in json.loads(payload):
        found.append(BuiltWheel(**{**each, "visible": tuple(Visible(**one) for one in each["visible"])}))
        if "/" in found[-1].filename or not found[-1].filename.endswith(".whl"):
            raise ValueError(f"{found[-1].filename} is no wheel's name")
    return found
