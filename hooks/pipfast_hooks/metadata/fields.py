"""METADATA fields that pip asks for repeatedly, read once."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from pipfast.wheel.metadata import Header

if TYPE_CHECKING:
    import email.message
    from collections.abc import Callable

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
