"""A candidate's METADATA as pip's distribution, its header read once.

pip writes each METADATA that comes alone into a folder of its own, reads it from there four times, and parses
all of it, the description included, each time; and that of a wheel four times more when it is there.
"""

from __future__ import annotations

import functools
import importlib.metadata
from typing import TYPE_CHECKING, Any

from pipfast.index.header import Header, read_header
from pipfast.report import logger
from pipfast_hooks.installed import KEPT, OF_AN_EXTRA

if TYPE_CHECKING:
    import email.message
    from collections.abc import Callable
    from os import PathLike
    from pathlib import Path


_METADATA = "metadata"
"""The attribute in which pip's distributions keep the parsed METADATA."""


class _Named(importlib.metadata.Distribution):
    """A distribution whose name and version are known."""

    def __init__(self, name: str, version: str) -> None:
        self._name = name
        self._version = version

    @property
    def name(self) -> str:
        """Return the field, which the base class would parse everything for."""
        return self._name

    @property
    def version(self) -> str:
        """Return the field."""
        return self._version


class _InMemory(_Named):
    """What pip's backend wraps: a distribution that is one file."""

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

    def __init__(self, inner: Any, name: str, version: str) -> None:
        super().__init__(name, version)
        self._inner = inner

    def read_text(self, filename: str) -> str | None:
        """Return the text of a file of the .dist-info folder, as pip decodes it."""
        text: str | None = self._inner.read_text(filename)
        return text

    def locate_file(self, path: str | PathLike[str]) -> Path:
        """Say what pip's own says."""
        found: Path = self._inner.locate_file(path)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Fields:
    """Answers for the fields that were read as an email message would; all else has the message parsed."""

    def __init__(self, header: Header, whole: Callable[[], email.message.Message]) -> None:
        self._fields = header.fields
        self._whole = functools.cache(whole)

    def without_extras(self) -> _Fields:
        """Return the same without the requirements that are valid and only an extra's."""
        requires = [each for each in self._fields["requires-dist"] if not OF_AN_EXTRA.fullmatch(each)]
        return _Fields(Header({**self._fields, "requires-dist": requires}), self._whole)

    def get(self, name: str, failobj: Any = None) -> Any:
        """Return the first value of a field."""
        values = self._fields.get(name.lower())
        if values is None:
            return self._whole().get(name, failobj)
        return values[0] if values else failobj

    def get_all(self, name: str, failobj: Any = None) -> Any:
        """Return all values of a field."""
        values = self._fields.get(name.lower())
        if values is None:
            return self._whole().get_all(name, failobj)
        return list(values) if values else failobj

    def __getitem__(self, name: str) -> Any:
        values = self._fields.get(name.lower())
        # What a message says of a field that it has not differs from Python to Python.
        return values[0] if values else self._whole()[name]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole(), name)

    def __contains__(self, name: str) -> bool:
        return name in self._whole()

    def __iter__(self) -> Any:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())


def _around_from_metadata_file_contents(
    wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any
) -> Any:
    """Make pip's distribution without a file, where the header is plain and complete."""
    made = None
    try:
        made = _made(instance, *args, **kwargs)
    except Exception:
        logger.debug("pipfast: metadata is left to pip", exc_info=True)
    return wrapped(*args, **kwargs) if made is None else made


def _made(
    distribution: Any, metadata_contents: bytes, filename: str, project_name: str, **unknown: Any
) -> Any | None:
    # As reading a text file gives it.
    text = metadata_contents.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    header = read_header(text)
    if unknown or header is None:
        return None
    name, version = header.first("name"), header.first("version")
    if not name or not version:
        return None
    wrapped = _InMemory(text, name, version)
    made = distribution(wrapped, None, None)
    if not isinstance(getattr(type(made), _METADATA, None), functools.cached_property):
        return None
    vars(made)[_METADATA] = _Fields(header, lambda: wrapped.metadata)  # type: ignore[arg-type, return-value]
    return made


def _around_from_wheel(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
    """Read the header of a wheel's METADATA once, where it is plain and complete."""
    made = wrapped(*args, **kwargs)
    try:
        _read_once(made)
    except Exception:
        logger.debug("pipfast: the metadata of a wheel is left to pip", exc_info=True)
    return made


def _read_once(distribution: Any) -> None:
    inner = distribution._dist
    text = inner.read_text("METADATA")
    header = read_header(text) if text else None
    if header is None or not isinstance(getattr(type(distribution), _METADATA, None), functools.cached_property):
        return
    name, version = header.first("name"), header.first("version")
    # pip adds what setuptools wrote into another file long ago.
    if name and version and (header.requires or inner.read_text("requires.txt") is None):
        distribution._dist = _OfWheel(inner, name, version)
        vars(distribution)[_METADATA] = _Fields(header, lambda: inner.metadata)


def _around_check_metadata_consistency(
    wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any
) -> Any:
    """Have pip check what could be wrong: most requirements are an extra's, and of a form that is always valid."""
    distribution = args[0] if args else kwargs.get("dist")
    attributes = getattr(distribution, "__dict__", {})
    fields = attributes.get(_METADATA)
    if not isinstance(fields, _Fields):
        return wrapped(*args, **kwargs)
    kept = attributes.pop(KEPT, None)
    attributes[_METADATA] = fields.without_extras()
    try:
        return wrapped(*args, **kwargs)
    finally:
        attributes[_METADATA] = fields
        # What was found meanwhile is not all.
        attributes.pop(KEPT, None)
        if kept is not None:
            attributes[KEPT] = kept
