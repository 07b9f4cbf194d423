"""Real wheels and source distributions, written inline, the same bytes on every run."""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import json
import re
import tarfile
import warnings
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Row = tuple[str, ...]
"""One line of RECORD: path, hash, size, and whatever a test wants after these."""

ZIP_TIME = (2020, 2, 2, 2, 2, 2)
"""The time in every archive: the day of the year that reads the same in every notation."""

FILE_MODE = 0o100644
EXECUTABLE_MODE = 0o100755
SYMLINK_MODE = 0o120777
DIRECTORY_MODE = 0o040755


@dataclass(frozen=True, slots=True)
class Archive:
    """One file of an index: a wheel or a source distribution, and what an index says about it."""

    filename: str
    data: bytes
    metadata: bytes | None = None
    """The core metadata file that an index may serve beside it."""
    requires_python: str | None = None

    @property
    def project(self) -> str:
        """Return the normalised name of the project, read from the file's name."""
        return normalize(re.split(r"-(?=\d)", self.filename, maxsplit=1)[0])

    @property
    def sha256(self) -> str:
        """Return the digest of the whole file, 64 lowercase hex digits."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a zip archive, with the things that only odd archives have."""

    name: str
    data: bytes = b""
    mode: int = FILE_MODE
    compression: int = zipfile.ZIP_DEFLATED
    zip64: bool = False
    recorded: bool = True
    """Whether RECORD has a row for it."""


def normalize(name: str) -> str:
    """Return ``name`` as an index spells it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _escaped(name: str) -> str:
    return re.sub(r"[-.]+", "_", name)


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def core_metadata(
    name: str,
    version: str,
    *,
    requires: Iterable[str] = (),
    extras: Mapping[str, Iterable[str]] | None = None,
    requires_python: str | None = None,
) -> bytes:
    """Return a METADATA file; an extra's requirements get the marker that selects them."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", f"Summary: {name} of a test"]
    if requires_python:
        lines.append(f"Requires-Python: {requires_python}")
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    for extra, wanted in (extras or {}).items():
        lines.append(f"Provides-Extra: {extra}")
        lines += [f'Requires-Dist: {requirement} ; extra == "{extra}"' for requirement in wanted]
    return ("\n".join(lines) + "\n").encode()


def entry_points(console: Mapping[str, str] | None, gui: Mapping[str, str] | None) -> bytes:
    """Return an entry_points.txt."""
    sections = [("console_scripts", console or {}), ("gui_scripts", gui or {})]
    lines: list[str] = []
    for title, points in sections:
        if points:
            lines += [f"[{title}]", *(f"{name} = {target}" for name, target in points.items()), ""]
    return "\n".join(lines).encode()


def record_row(path: str, data: bytes) -> Row:
    """Return the RECORD row of a file."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return (path, f"sha256={digest}", str(len(data)))


def zip_bytes(members: Iterable[Member], *, streamed: bool = False) -> bytes:
    """Return a zip archive; ``streamed`` writes data descriptors, as to a pipe."""
    buffer = io.BytesIO()
    target = _Unseekable(buffer) if streamed else buffer
    with zipfile.ZipFile(target, "w") as archive, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Duplicate name", UserWarning)
        for member in members:
            info = zipfile.ZipInfo(member.name, ZIP_TIME)
            info.external_attr = member.mode << 16
            info.compress_type = member.compression
            info.create_system = 3
            with archive.open(info, "w", force_zip64=member.zip64) as stream:
                stream.write(member.data)
    return buffer.getvalue()


class _Unseekable(io.RawIOBase):
    """A stream that zipfile can only write to, as it could to a pipe."""

    def __init__(self, buffer: io.BytesIO) -> None:
        self._buffer = buffer

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return self._buffer.write(data)  # type: ignore[arg-type]  # RawIOBase's own buffer type has no name

    def flush(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Wheel:
    """The parts of one wheel; ``build`` puts them together. Every default is the well-behaved one."""

    name: str
    version: str = "1.0"
    requires: Iterable[str] = ()
    extras: Mapping[str, Iterable[str]] | None = None
    requires_python: str | None = None
    files: Mapping[str, str | bytes] | None = None
    """Paths under the wheel's root; None means one small package named as the project."""
    data: Mapping[str, str | bytes] = field(default_factory=dict)
    """Paths under ``<name>-<version>.data/``, such as ``scripts/tool``."""
    console: Mapping[str, str] | None = None
    gui: Mapping[str, str] | None = None
    dist_info: Mapping[str, str | bytes] = field(default_factory=dict)
    """More files of the .dist-info folder; one named METADATA or WHEEL replaces the usual one."""
    modes: Mapping[str, int] = field(default_factory=dict)
    """Permission bits by path, for the members of ``files`` and ``data``."""
    tag: str = "py3-none-any"
    build_tag: str = ""
    purelib: bool = True
    wheel_version: str = "1.0"
    metadata_name: str | None = None
    """The name METADATA claims, where it is not the file's name."""
    metadata_version: str | None = None
    """The version METADATA claims, where it is not the file's."""
    more: Iterable[Member] = ()
    """Members as they are, after the others and before RECORD."""
    record: Callable[[list[Row]], list[Row] | None] = list
    """Turns the true rows into those that are written; None means that there is no RECORD."""
    compression: int = zipfile.ZIP_DEFLATED
    streamed: bool = False

    @property
    def stem(self) -> str:
        """Return ``name-version``, the beginning of the file's name and of its folders'."""
        return f"{_escaped(self.name)}-{self.version}"

    def build(self) -> Archive:
        """Write the wheel."""
        metadata = core_metadata(
            self.metadata_name or self.name,
            self.metadata_version or self.version,
            requires=self.requires,
            extras=self.extras,
            requires_python=self.requires_python,
        )
        files = self.files
        if files is None:
            files = {f"{_escaped(self.name)}/__init__.py": f"__version__ = {self.version!r}\n"}
        info = self._dist_info(metadata)
        members = [self._member(path, content, self.modes.get(path, 0o644)) for path, content in files.items()]
        members += [
            self._member(f"{self.stem}.data/{path}", content, self.modes.get(path, 0o644))
            for path, content in self.data.items()
        ]
        members += [self._member(f"{self.stem}.dist-info/{path}", content) for path, content in info.items()]
        members += self.more
        record = f"{self.stem}.dist-info/RECORD"
        rows = self.record(
            [
                *(record_row(member.name, member.data) for member in members if member.recorded),
                (record, "", ""),
            ]
        )
        if rows is not None:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(rows)
            members.append(Member(record, text.getvalue().encode(), compression=self.compression))
        tags = f"{self.build_tag}-{self.tag}" if self.build_tag else self.tag
        return Archive(
            f"{self.stem}-{tags}.whl",
            zip_bytes(members, streamed=self.streamed),
            _bytes(info["METADATA"]),
            self.requires_python,
        )

    def _member(self, path: str, content: str | bytes, permissions: int = 0o644) -> Member:
        return Member(path, _bytes(content), 0o100000 | permissions, self.compression)

    def _dist_info(self, metadata: bytes) -> dict[str, str | bytes]:
        wheel = (
            f"Wheel-Version: {self.wheel_version}\nGenerator: tests\n"
            f"Root-Is-Purelib: {str(self.purelib).lower()}\nTag: {self.tag}\n"
        )
        info: dict[str, str | bytes] = {"METADATA": metadata, "WHEEL": wheel}
        if self.console or self.gui:
            info["entry_points.txt"] = entry_points(self.console, self.gui)
        return {**info, **self.dist_info}


def wheel(name: str, version: str = "1.0", *requires: str) -> Archive:
    """Return the plainest wheel of this name: one package, METADATA, WHEEL, RECORD."""
    return Wheel(name, version, requires).build()


BACKEND = '''\
"""A build backend of one file: packs src/, with the metadata that project.json holds."""

import base64
import hashlib
import io
import json
import os
import sys
import tarfile
import zipfile

PROJECT = json.load(open("project.json", encoding="utf-8"))
STEM = PROJECT["stem"]


def _requires(config_settings=None):
    return PROJECT["build_requires"]


get_requires_for_build_wheel = get_requires_for_build_editable = get_requires_for_build_sdist = _requires


def _info():
    info = {
        "METADATA": PROJECT["metadata"],
        "WHEEL": "Wheel-Version: 1.0\\nGenerator: tests\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    if PROJECT["entry_points"]:
        info["entry_points.txt"] = PROJECT["entry_points"]
    return info


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    if PROJECT["fails"]:
        sys.exit("the backend of " + STEM + " refuses")
    folder = os.path.join(metadata_directory, STEM + ".dist-info")
    os.mkdir(folder)
    for name, text in _info().items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
            stream.write(text)
    return STEM + ".dist-info"


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def _write(wheel_directory, files):
    rows = []
    filename = STEM + "-py3-none-any.whl"
    for name, text in _info().items():
        files[STEM + ".dist-info/" + name] = text.encode()
    with zipfile.ZipFile(os.path.join(wheel_directory, filename), "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in sorted(files.items()):
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.append("%s,sha256=%s,%d" % (path, digest, len(data)))
            archive.writestr(zipfile.ZipInfo(path, (2020, 2, 2, 2, 2, 2)), data)
        record = STEM + ".dist-info/RECORD"
        rows.append(record + ",,")
        archive.writestr(zipfile.ZipInfo(record, (2020, 2, 2, 2, 2, 2)), "\\n".join(rows) + "\\n")
    return filename


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    if PROJECT["wheel_fails"]:
        sys.exit("the backend of " + STEM + " cannot build")
    files = {}
    for folder, _, names in os.walk("src"):
        if "__pycache__" not in folder:
            for name in names:
                path = os.path.join(folder, name)
                files[os.path.relpath(path, "src")] = open(path, "rb").read()
    for key, value in sorted((config_settings or {}).items()):
        files[STEM.split("-")[0] + "/settings.txt"] = ("%s=%s" % (key, value)).encode()
    return _write(wheel_directory, files)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return _write(wheel_directory, {"__editable__." + STEM + ".pth": os.path.abspath("src").encode()})


def build_sdist(sdist_directory, config_settings=None):
    with tarfile.open(os.path.join(sdist_directory, STEM + ".tar.gz"), "w:gz") as archive:
        archive.add(".", STEM)
    return STEM + ".tar.gz"
'''
"""What every source tree of the tests is built with: it needs nothing that is not beside it."""


def source_tree(
    name: str,
    version: str = "1.0",
    requires: Iterable[str] = (),
    *,
    extras: Mapping[str, Iterable[str]] | None = None,
    requires_python: str | None = None,
    files: Mapping[str, str | bytes] | None = None,
    console: Mapping[str, str] | None = None,
    build_requires: Iterable[str] = (),
    dynamic_requires: Iterable[str] = (),
    fails: bool = False,
    wheel_fails: bool = False,
    metadata: str | None = None,
) -> dict[str, bytes]:
    """Return the files of a project that builds with the backend beside it, by relative path.

    :param build_requires: ``[build-system] requires``; the default downloads nothing.
    :param dynamic_requires: what the backend asks for when it is asked.
    :param fails: the backend exits as soon as it is asked for metadata.
    :param wheel_fails: it exits when it is asked for a wheel.
    :param metadata: the whole METADATA, for those that no tool would write.
    """
    text = metadata
    if text is None:
        text = core_metadata(
            name, version, requires=requires, extras=extras, requires_python=requires_python
        ).decode()
    project = {
        "stem": f"{_escaped(name)}-{version}",
        "metadata": text,
        "entry_points": entry_points(console, None).decode(),
        "build_requires": list(dynamic_requires),
        "fails": fails,
        "wheel_fails": wheel_fails,
    }
    wanted = json.dumps(list(build_requires))
    if files is None:
        files = {f"{_escaped(name)}/__init__.py": f"__version__ = {version!r}\n"}
    return {
        "pyproject.toml": (
            f'[build-system]\nrequires = {wanted}\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        ).encode(),
        "backend.py": BACKEND.encode(),
        "project.json": json.dumps(project).encode(),
        "PKG-INFO": text.encode(),
        **{f"src/{path}": _bytes(content) for path, content in files.items()},
    }


def sdist_of(name: str, version: str, tree: Mapping[str, bytes], *, requires_python: str | None = None) -> Archive:
    """Pack a source tree as a source distribution."""
    stem = f"{_escaped(name)}-{version}"
    buffer = io.BytesIO()
    # No gzip time: the archive would be another one every second.
    with tarfile.open(fileobj=buffer, mode="w:", format=tarfile.PAX_FORMAT) as archive:
        for path, data in tree.items():
            info = tarfile.TarInfo(f"{stem}/{path}")
            info.size = len(data)
            info.mode = 0o644
            info.mtime = 1580608922
            archive.addfile(info, io.BytesIO(data))
    return Archive(
        f"{stem}.tar.gz", gzip.compress(buffer.getvalue(), mtime=0), None, requires_python=requires_python
    )


def sdist(name: str, version: str = "1.0", *requires: str) -> Archive:
    """Return the plainest source distribution of this name."""
    return sdist_of(name, version, source_tree(name, version, requires))


def with_broken_member(archive: Archive, member: str) -> Archive:
    """Return ``archive`` with one bit of a member's data flipped: its CRC no longer agrees."""
    with zipfile.ZipFile(io.BytesIO(archive.data)) as opened:
        info = opened.getinfo(member)
    start = info.header_offset + 30 + len(info.filename.encode())
    position = start + info.compress_size // 2
    data = bytearray(archive.data)
    data[position] ^= 0x10
    return Archive(archive.filename, bytes(data), archive.metadata, archive.requires_python)
