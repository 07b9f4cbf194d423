"""Distributions of candidates and wheels, whose METADATA header is read once.

pip writes each METADATA that comes alone into a folder of its own, reads it from there four times, and parses
all of it, the description included, each time; and that of a wheel four times more when it is there.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.specifiers import InvalidSpecifier, SpecifierSet
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.wheel.metadata import read_header
from pipfast_hooks.guard import guarded
from pipfast_hooks.metadata.installed import KEPT, Fields
from pipfast_hooks.run import Run, current_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from pipfast_hooks.call import Call

_COMPARED = ("sidecar_dist", "wheel_dist")

_METADATA = "metadata"
"""The attribute in which pip's distributions keep the parsed METADATA."""


class _Named(importlib.metadata.Distribution):
    """A distribution whose name and version are known; the base class would parse everything for them."""

    name = version = ""

    def __init__(self, name: str, version: str) -> None:
        self.name, self.version = name, version


class _InMemory(_Named):
    def __init__(self, text: str, name: str, version: str) -> None:
        super().__init__(name, version)
        self._text = text

    def read_text(self, filename: str) -> str | None:
        """Return the text of METADATA, None for every other file."""
        return self._text if filename == "METADATA" else None

    def locate_file(self, path: str | PathLike[str]) -> Path:
        """Refuse: nothing is on disk."""
        raise NotImplementedError


class _OfWheel(_Named):
    """The distribution in a wheel that pip's backend wraps; all but the two fields is its own to say."""

    _path = None
    """pip asks for the folder; a wheel's distribution has none."""

    def __init__(
        self, inner: Callable[[], Any], read_text: Callable[[str], str | None], name: str, version: str
    ) -> None:
        """:param inner: returns what pip's own code makes of the wheel.

        :param read_text: returns the text of a file of the .dist-info folder.
        """
        super().__init__(name, version)
        self._inner = inner
        self._read_text = read_text

    def read_text(self, filename: str) -> str | None:
        """Return the text of a file of the .dist-info folder, as pip decodes it."""
        return self._read_text(filename)

    def locate_file(self, path: str | PathLike[str]) -> Path:
        """Say what pip's own says."""
        found: Path = self._inner().locate_file(path)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner(), name)


def _around_from_metadata_file_contents(call: Call) -> Any:
    """Make pip's distribution without a file, where the header is plain and complete."""
    with guarded("metadata is left to pip"):
        if (made := _made(call.instance, call["metadata_contents"])) is not None:
            return made
    return call.original()


def _made(distribution: Any, metadata_contents: bytes) -> Any | None:
    # As reading a text file gives it.
    text = metadata_contents.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    header = read_header(text)
    if header is None:
        return None
    name, version = header.first("name"), header.first("version")
    if not name or not version:
        return None
    wrapped = _InMemory(text, name, version)
    made = distribution(wrapped, None, None)
    if not isinstance(getattr(type(made), _METADATA, None), functools.cached_property):
        return None
    vars(made)[_METADATA] = Fields(header, lambda: wrapped.metadata)  # type: ignore[arg-type, return-value]
    return made


def _around_from_wheel(call: Call) -> Any:
    """Read the header of a wheel's METADATA once, where it is plain and complete, and out of the store."""
    with guarded("the metadata of a stored wheel is left to pip"):
        if (stored := _stored(current_run(), call)) is not None:
            return stored
    current_run().store.make_whole(call["wheel"].location)
    made = call.original()
    with guarded("the metadata of a wheel is left to pip"):
        inner = made._dist
        _set_header(made, lambda: inner, inner.read_text)
    return made


def _stored(run: Run, call: Call) -> Any | None:
    """Return the distribution of a wheel that is unpacked in the store; pip would read the archive for it.

    A member list of some thousand files is most of what that takes.
    """
    wheel = call["wheel"]
    known = run.store.known(wheel.location)
    preparer = run.store.preparer() if known is not None else None
    prepared = preparer.ready(known["sha256"]) if known is not None and preparer is not None else None
    if prepared is None:
        return None
    info_dir = prepared.manifest.info_dir
    if not canonicalize_name(info_dir).startswith(call["name"]):
        # pip refuses it.
        return None

    @functools.cache
    def inner() -> Any:
        run.store.make_whole(wheel.location)
        return call.original()._dist

    def read_text(filename: str) -> str | None:
        kept = prepared.read_info(filename)
        if kept is None and "/" not in filename and not prepared.has_info(filename):
            return None
        with contextlib.suppress(UnicodeDecodeError):
            if kept is not None:
                return kept.decode("utf-8")
        text: str | None = inner().read_text(filename)
        return text

    made = call.instance(None, PurePosixPath(wheel.location, info_dir), PurePosixPath(wheel.location))
    return made if _set_header(made, inner, read_text) else None


def _set_header(distribution: Any, inner: Callable[[], Any], read_text: Callable[[str], str | None]) -> bool:
    """Let a wheel's distribution say what is in its METADATA's header; False if that is not plain and complete."""
    text = read_text("METADATA")
    header = read_header(text) if text else None
    if header is None or not isinstance(getattr(type(distribution), _METADATA, None), functools.cached_property):
        return False
    name, version = header.first("name"), header.first("version")
    # pip adds what setuptools wrote into another file long ago.
    if not name or not version or not (header.requires or read_text("requires.txt") is None):
        return False
    distribution._dist = _OfWheel(inner, read_text, name, version)
    vars(distribution)[_METADATA] = Fields(header, lambda: inner().metadata)
    return True


def _around_check_sidecar_matches_wheel(call: Call) -> Any:
    """Have pip compare only what is not equal to the letter: it would parse all of it, twice.

    Of a Requires-Python that is none it warns each time.
    """
    sidecar, wheel = (getattr(call.get(name), "__dict__", {}).get(_METADATA) for name in _COMPARED)
    if isinstance(sidecar, Fields) and isinstance(wheel, Fields) and sidecar.says_the_same(wheel):
        with contextlib.suppress(InvalidSpecifier):
            SpecifierSet(sidecar.get("Requires-Python") or "")
            return None
    return call.original()


def _around_check_metadata_consistency(call: Call) -> Any:
    """Have pip check what could be wrong: most requirements are an extra's, and of a form that is always valid."""
    attributes = getattr(call.get("dist"), "__dict__", {})
    fields = attributes.get(_METADATA)
    if not isinstance(fields, Fields):
        return call.original()
    kept = attributes.pop(KEPT, None)
    attributes[_METADATA] = fields.without_extras()
    try:
        return call.original()
    finally:
        attributes[_METADATA] = fields
        # What was found meanwhile is not all.
        attributes.pop(KEPT, None)
        if kept is not None:
            attributes[KEPT] = kept
