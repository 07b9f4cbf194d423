"""METADATA of installed distributions, read once in a run.

pip's resolver, its check for conflicts and its summary each make distributions of their own for the same folders,
and each of these parses the whole METADATA, description and all, for a few lines of its header.
"""

from __future__ import annotations

import functools
import os
import re
from typing import TYPE_CHECKING, Any, NoReturn

from pipfast.report import logger
from pipfast.wheel.metadata import Header, read_header
from pipfast_hooks.guard import guarded
from pipfast_hooks.run import Part, Run, current_run

if TYPE_CHECKING:
    import email.message
    from collections.abc import Callable

    from pipfast_hooks.call import Call


OF_AN_EXTRA = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:\[[a-z0-9]+(?:[,-][a-z0-9]+)*\])?"
    r" ?(?:(?:[<>!=]=|[<>]|~=(?=[0-9]+\.))[0-9]+(?:\.[0-9]+)*(?:, ?(?=[<>!=~])|(?= ?;)))*"
    r" ?; ?extra ?== ?([\"'])[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\1"
)
"""A valid requirement that only an extra has, e.g. `sphinx>=7; extra == 'docs'`: three of four are such.
Others that are one, too, are left to pip to find out."""


class Fields:
    """Stands for an email message: answers for the fields that were read, and parses the message for any other."""

    def __init__(self, header: Header, whole: Callable[[], email.message.Message]) -> None:
        self._fields = header.fields
        self._whole = functools.cache(whole)

    def without_extras(self) -> Fields:
        """Return the same without the requirements that are valid and only an extra's."""
        requires = [each for each in self._fields["requires-dist"] if not OF_AN_EXTRA.fullmatch(each)]
        return Fields(Header({**self._fields, "requires-dist": requires}), self._whole)

    def says_the_same(self, other: Fields) -> bool:
        """Tell whether all the fields that were read are equal, to the letter."""
        return self._fields == other._fields

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
        # For a missing field messages of different Pythons answer differently.
        return values[0] if values else self._whole()[name]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole(), name)

    def __contains__(self, name: str) -> bool:
        return name in self._whole()

    def __iter__(self) -> Any:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())


KEPT = "_pipfast_dependencies"
"""The attribute of a distribution in which its requirements are kept, by extras."""

_PLAIN_VERSION = re.compile(r"(?m)^Wheel-Version: 1\.0$")

_WANTED = "requires-dist"


class InstalledFacts(Part):
    """Facts about installed distributions and wheels, for the next question."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.dependencies: dict[object, tuple[Any, ...]] = {}
        self.wheels: dict[object, Any] = {}
        """Distributions that were read from wheels, and will be asked for once more."""


def _around_iter_dependencies(call: Call) -> Any:
    """Return the requirements that were found before, as long as the file is the same.

    Where pip's own loop ends with an error, it is run again for the caller: it may yield some first.
    """
    # No `guarded` here: it takes time, and this is called for each distribution in each of the resolver's rounds.
    try:
        extras = tuple(call.get("extras", ()))
        kept: dict[tuple[str, ...], tuple[Any, ...]] = vars(call.instance).setdefault(KEPT, {})
        found = kept.get(extras)
        if found is None:
            key = _key(call.instance)
            shared = current_run().part(InstalledFacts).dependencies
            found = shared.get((key, extras)) if key is not None else None
            if found is None:
                found = _dependencies(call, extras, known=key is not None)
                if key is not None:
                    shared[key, extras] = found
            kept[extras] = found
        return iter(found)
    except Exception:
        logger.debug("pipfast: requirements of a distribution are left to pip", exc_info=True)
    return call.original()


def _around_get_metadata_distribution(call: Call) -> Any:
    """Give the check for conflicts the distribution that was read when the wheel was prepared.

    It is dropped then: it holds a whole .dist-info folder.
    """
    key = None
    with guarded("a wheel is read once more"):
        run, requirement = current_run(), call.instance.req
        wheels = run.part(InstalledFacts).wheels
        path = requirement.local_file_path
        if run.intent.installs and path:
            key = (path, requirement.name, *_identity(os.stat(path)))
            if (kept := wheels.pop(key, None)) is not None:
                return kept
    distribution = call.original()
    with guarded("a wheel will be read once more"):
        # pip warns of a newer version each time it reads it.
        if key is not None and _PLAIN_VERSION.search(distribution.read_text("WHEEL")):
            wheels[key] = distribution
    return distribution


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _key(instance: Any) -> tuple[object, ...] | None:
    """Return a key for the content of an installed distribution's METADATA; None without such a file."""
    folder = instance.info_location
    if folder is None or not folder.endswith(".dist-info"):
        return None
    try:
        found = os.stat(f"{folder}/METADATA")
    except OSError:
        return None
    return (folder, *_identity(found))


def _dependencies(call: Call, extras: tuple[str, ...], *, known: bool) -> tuple[Any, ...]:
    instance = call.instance
    holder = getattr(type(instance), "metadata", None)
    if not isinstance(holder, functools.cached_property):
        return tuple(call.original(extras=extras))
    there = vars(instance).get(holder.attrname)
    header: Fields | None = None
    if isinstance(there, Fields) and not extras:
        header = there.without_extras()
    elif known and there is None:
        header = _read_header(instance.info_location, with_extras=bool(extras))
    if header is None:
        return tuple(call.original(extras=extras))
    # Where the cached property would keep it; pip parses all of it for the next question.
    vars(instance)[holder.attrname] = header
    try:
        return tuple(call.original(extras=extras))
    finally:
        if there is None:
            del vars(instance)[holder.attrname]
        else:
            vars(instance)[holder.attrname] = there


def _read_header(folder: str, *, with_extras: bool) -> Fields | None:
    """Read the requirements in a METADATA file; None where the email package is better asked."""
    with open(f"{folder}/METADATA", encoding="utf-8") as file:
        text = file.read()
    requirements = parse_requires(text)
    if requirements is None:
        return None
    if not requirements and os.path.exists(f"{folder}/requires.txt"):
        # pip adds what setuptools wrote there long ago.
        return None
    # Three of four requirements are an extra's, and would be parsed to find that out.
    wanted = [each for each in requirements if with_extras or not OF_AN_EXTRA.fullmatch(each)]
    return Fields(Header({_WANTED: wanted}), _unread)


def _unread() -> NoReturn:
    raise LookupError("only one field is known")


def parse_requires(text: str) -> list[str] | None:
    """Return the values of all Requires-Dist fields, or None if this is not plain enough to be sure."""
    header = read_header(text)
    return None if header is None else header.requires
