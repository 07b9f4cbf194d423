"""Setting ``extra-build-dependencies``: further requirements for the build of one package."""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import TYPE_CHECKING

from pipfast.errors import PipfastError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
"""A distribution's name, by the specification of core metadata."""

# e.g. `torch>=2,<3, ninja` and `torch >= 2  ninja`: a new requirement begins with a letter, after a comma or
# a blank, and not where an operator still waits for its version.
_NEXT = re.compile(r"(?<![<>=!~,@\s])(?:\s*,\s*|\s+)(?=[A-Za-z])")
_BRACKETS = re.compile(r"\[[^\]]*\]")


class ExtrasUnreadable(PipfastError):
    """The setting has neither of its two forms; ``str()`` ends a sentence about the setting."""


def read_extras(text: str) -> dict[str, tuple[str, ...]]:
    """Return normalised package name to requirements.

    Two forms: ``flash-attn: torch>=2,<3, ninja; khoros: numpy`` (a new line serves as ``;``), and, for markers,
    URLs and whatever else has those characters, JSON: ``{"flash-attn": ["torch @ https://…"]}``. In the place of a
    name an address may stand, for a package that has none yet: ``git+https://…#subdirectory=x: torch``.

    :raises ExtrasUnreadable: it is neither.
    """
    pairs = _from_json(text) if text.lstrip().startswith("{") else _from_text(text)
    extras: dict[str, tuple[str, ...]] = {}
    for package, requirements in pairs:
        if not is_name(package) and not _is_address(package):
            raise ExtrasUnreadable(f"has {package!r} in the place of a package's name")
        for requirement in requirements:
            if not _is_requirement(requirement):
                raise ExtrasUnreadable(f"has {requirement!r} for {package}, which is no requirement")
        key = package if _is_address(package) else normalise(package)
        extras[key] = tuple(dict.fromkeys((*extras.get(key, ()), *requirements)))
    return extras


def write_extras(extras: Mapping[str, tuple[str, ...]]) -> str:
    """Return the setting's value for these extras, as hints have it and ``read_extras`` reads it."""
    texts = [each for package, requirements in extras.items() for each in (package, *requirements)]
    if any(";" in each or "\n" in each for each in texts) or any(
        split_requirements(each) != [each] for requirements in extras.values() for each in requirements
    ):
        return json.dumps({package: list(requirements) for package, requirements in extras.items()})
    return "; ".join(f"{package}: {', '.join(requirements)}" for package, requirements in extras.items())


def to_be_set(package: str, requirement: str, present: Mapping[str, tuple[str, ...]]) -> str:
    """Return a shell's command that adds a requirement for a package to the setting.

    :param present: the present setting, which stays, but for addresses, which may have passwords.
    """
    key = package if _is_address(package) else normalise(package)
    kept = {name: each for name, each in present.items() if not any("://" in text for text in each)}
    value = write_extras({name: each for name, each in kept.items() if name != key} | {
        package: tuple(dict.fromkeys((*kept.get(key, ()), requirement)))
    })
    if os.name == "nt":
        return "$env:PIPFAST_EXTRA_BUILD_DEPENDENCIES = '" + value.replace("'", "''") + "'"
    return f"export PIPFAST_EXTRA_BUILD_DEPENDENCIES={shlex.quote(value)}"


def is_name(text: str) -> bool:
    """Tell whether a text can be a distribution's name."""
    return _NAME.fullmatch(text) is not None


def _is_requirement(text: str) -> bool:
    """Tell whether a text is a requirement (PEP 508); without packaging, whether it begins like one."""
    # Not at the top: hardly any command has such a setting.
    from pipfast import dependencies

    try:
        requirements = dependencies.load("packaging", "requirements").requirements
    except dependencies.Unusable:
        return _NAME.match(text) is not None
    try:
        requirements.Requirement(text)
    except requirements.InvalidRequirement:
        return False
    return True


def _is_address(package: str) -> bool:
    return "://" in package


def normalise(name: str) -> str:
    """Return a distribution's name in the form in which names are compared, as packaging's ``canonicalize_name``.

    Our own, because settings are read before it is known whether there is a packaging.
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def _from_text(text: str) -> list[tuple[str, list[str]]]:
    pairs = []
    for part in re.split(r"[;\n]", text):
        if not part.strip():
            continue
        # An address has a colon of its own.
        package, colon, rest = part.partition(": " if "://" in part.partition(": ")[0] else ":")
        if not colon:
            raise ExtrasUnreadable(f"has {part.strip()!r}, which is not of the form 'package: requirement, …'")
        pairs.append((package.strip(), split_requirements(rest)))
    return pairs


def split_requirements(text: str) -> list[str]:
    """Split ``torch[a,b]>=2,<3, ninja`` into its requirements."""
    masked = _BRACKETS.sub(lambda found: "x" * len(found[0]), text)
    parts, begin = [], 0
    for found in _NEXT.finditer(masked):
        parts.append(text[begin : found.start()])
        begin = found.end()
    return [part.strip(" \t,") for part in (*parts, text[begin:]) if part.strip(" \t,")]


def _from_json(text: str) -> list[tuple[str, list[str]]]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ExtrasUnreadable(f"is no JSON ({error})") from error
    pairs = []
    for package, requirements in document.items():
        if not isinstance(requirements, list) or not all(isinstance(each, str) for each in requirements):
            raise ExtrasUnreadable(f"has no list of requirements for {package}")
        pairs.append((package, [each.strip() for each in requirements]))
    return pairs
