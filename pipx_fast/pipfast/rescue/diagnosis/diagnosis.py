"""Diagnosis: from the evidence of a failed build to its cause.

The uncaught exception's chain is read first, outermost first; the output only where the chain names nothing. A
module that is only printed counts if a process of the build looked for it: a build that prints a false name gets
nothing. A module that a process looked for counts if the exception or the output names it: scripts look for many
modules that they can do without. Pure: nothing is run or looked up here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipfast.requirements import canonicalize_name
from pipfast.rescue.diagnosis import unmendable
from pipfast.rescue.diagnosis.causes import MissingDistribution, MissingModule, NeedsOlderSetuptools, NoCause
from pipfast.rescue.diagnosis.import_names import namespaces, reviewed

if TYPE_CHECKING:
    from collections.abc import Set

    from pipfast.rescue.diagnosis.causes import Cause
    from pipfast.rescue.diagnosis.evidence import Evidence, RaisedError


_SPELLINGS = (("pytorch", "torch"), ("opencv", "cv2"), ("pillow", "PIL"), ("beautifulsoup", "bs4"))
"""Names for a module in sentences that are neither its own nor its distribution's."""

_WORD = r"['\"`]?(?P<word>[A-Za-z_][\w.-]*\w)['\"`]?"

_KIND = r"(?:\s+(?:package|module|library))?"

_ASKING = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # e.g. `please install PyTorch first`, `You need to install the python package numpy`,
        # `pip install 'Cython>=3'`, `Could not import numpy`; never a line of code, `import torch`
        r"\b(?:install|needs?|requires?|missing|without"
        r"|(?:could not|cannot|can't|unable to|failed to) (?:import|find))\s+"
        r"(?:(?:the|a|python|package|module|library|have)\s+)*['\"`]?(?P<word>[A-Za-z_][\w.-]*\w)",
        # e.g. `Cython is required to build`
        _WORD + _KIND + r"\s+(?:(?:is|are|was)\s+)?(?:required|needed|missing|unavailable)\b",
        # e.g. `numpy not found`, `The 'numpy' package is not installed`
        _WORD + _KIND + r"\s+(?:(?:is|are|was)\s+)?not\s+(?:installed|found|importable|available|present)\b",
        # e.g. `OpenCV must be installed`, `torch could not be imported`
        _WORD + _KIND + r"\s+(?:must|should|needs?\s+to|has\s+to|could\s+not|cannot)\s+be\s+"
        r"(?:installed|found|imported|available|present)\b",
        # e.g. `Missing dependency: numpy`
        r"\b(?:missing|required)\s+(?:\w+\s+)?(?:dependency|dependencies|requirement|package|module)s?\s*:\s*"
        + _WORD,
    )
)


def module_asked_for(line: str, sought: Set[str]) -> str | None:
    """Return the one module out of ``sought`` that a sentence asks for, or None."""
    if not sought:
        return None
    words = {module.lower(): module for module in sought}
    for module in sorted(sought):
        distribution = reviewed(module)
        if distribution is not None:
            words.setdefault(canonicalize_name(distribution), module)
    for spelling, module in _SPELLINGS:
        if module in sought:
            words.setdefault(spelling, module)
    for pattern in _ASKING:
        for found in pattern.finditer(line):
            word = found["word"].rstrip(".")
            module = words.get(word.lower()) or words.get(canonicalize_name(word))  # type: ignore[assignment]
            if module is not None:
                return module
    return None


PKG_RESOURCES_DROPPED = "82"
"""The first release of setuptools without ``pkg_resources`` (its changelog, v82.0.0)."""

_SLIPS = frozenset({
    "AssertionError", "AttributeError", "IndexError", "KeyError", "TypeError", "UnboundLocalError",
    "UnicodeDecodeError", "UnicodeEncodeError", "ValueError", "ZeroDivisionError",
})
"""Exceptions of a fault in the source itself: output before them does not tell why the build ended."""

OUTPUT_LINES = 400
"""Lines that are read from the end of the output, where the end of a build is explained."""

# e.g. `No module named 'torch.utils'`
_NO_MODULE = re.compile(r"^No module named '(?P<name>[\w.]+)'$")

# e.g. `ModuleNotFoundError: No module named 'numpy'`, `please install PyTorch first: No module named 'torch'`,
# `/usr/bin/python3: No module named build.__main__; 'build' is a package and cannot be directly executed`,
# `/usr/bin/python3: Error while finding module specification for 'a.b' (ModuleNotFoundError: No module named 'a')`
_NAMED = re.compile(
    r"No module named (?P<quote>['\"]?)(?P<name>[A-Za-z_][\w.]*\w|[A-Za-z_])(?P=quote)(?P<rest>.*)"
)

# e.g. `error: invalid command 'bdist_wheel'`
_NO_BDIST_WHEEL = re.compile(r"invalid command '(?:bdist_wheel|dist_info)'")

# e.g. `Command '['/venv/bin/python', '-m', 'pip', '--disable-pip-version-check', 'wheel', '--no-deps', '-w',
# '/tmp/tmpx', '--quiet', 'numpy>=1.0']' returned non-zero exit status 1.`
_SETUP_REQUIRES = re.compile(
    r"'-m', 'pip', .*'wheel', '--no-deps', .*'(?P<requirement>[^']+)'\]' returned non-zero"
)

# e.g. `Could not find suitable distribution for Requirement.parse('numpy>=1.8')`
_EASY_INSTALL = re.compile(
    r"Could not find suitable distribution for Requirement\.parse\('(?P<requirement>[^']+)'\)"
)

# e.g. `The 'numpy>=1.8' distribution was not found and is required by scipy`
_NOT_FOUND = re.compile(
    r"The '(?P<requirement>[^']+)' distribution was not found and is required by (?P<by>.+?)\.?$"
)

# e.g. `No package metadata was found for torch`
_NO_METADATA = re.compile(r"No package metadata was found for (?P<name>[\w.-]+)$")

# e.g. `Cannot import 'hatchling.build'`
_BACKEND = re.compile(r"Cannot import '(?P<backend>[\w.]+)")


def examine(evidence: Evidence) -> Cause | NoCause:
    """Return what was missing, or why nothing that can be installed was."""
    found = _in_chain(evidence)
    if found is None:
        found = _in_messages(evidence)
    if found is None and evidence.errors and evidence.errors[0].kind in _SLIPS:
        return NoCause(f"{evidence.errors[0].kind}: {evidence.errors[0].message[:300]}")
    if found is None:
        found = _in_output(evidence)
    return found or NoCause("nothing in the evidence names a missing module")


def _in_chain(evidence: Evidence) -> Cause | NoCause | None:
    """Return the cause by the first exception that names one.

    A script that tried one module and then one that Python has dropped wanted the first.
    """
    backend = next((error for error in evidence.errors if error.kind == "BackendUnavailable"), None)
    fallback: NoCause | None = None
    for error in evidence.errors:
        found = _in_error(error, evidence, backend)
        if isinstance(found, NoCause):
            if not (_is_missing_module(error) and unmendable.is_pythons_own(_name(error) or "")):
                return fallback or found
            fallback = fallback or found
        elif found is not None:
            return found
    return fallback


def _is_missing_module(error: RaisedError) -> bool:
    return error.kind == "ModuleNotFoundError"


def _name(error: RaisedError) -> str | None:
    found = _NO_MODULE.match(error.message)
    return error.name or (found["name"] if found else None)


def _in_error(error: RaisedError, evidence: Evidence, backend: RaisedError | None) -> Cause | NoCause | None:
    said_by = f"{error.kind}: {error.message}".strip()
    if error.kind in unmendable.KINDS:
        return NoCause(f"{said_by}: nothing that is installed mends this")
    if error.kind == "PackageNotFoundError":
        found = _NO_METADATA.search(error.message)
        name = error.name or (found["name"] if found else error.message.strip())
        return MissingDistribution(name) if name else None
    if found := _NOT_FOUND.search(error.message) if error.kind == "DistributionNotFound" else None:
        return MissingDistribution(found["requirement"], found["by"])
    if found := _SETUP_REQUIRES.search(error.message) or _EASY_INSTALL.search(error.message):
        return MissingDistribution(found["requirement"])
    if _NO_BDIST_WHEEL.search(error.message):
        return MissingDistribution("wheel")
    if _is_missing_module(error) and (name := _name(error)):
        if not _NO_MODULE.match(error.message):
            # e.g. `No module named 'a.b'; 'a' is not a package`, `import of a halted; None in sys.modules`
            return NoCause(f"{said_by}: another module stands in its place")
        return _module(name, said_by, evidence, backend)
    reason = next(filter(None, map(unmendable.reason_in, error.message.splitlines())), None)
    return NoCause(f"{reason} ({said_by[:300]})") if reason is not None else None


def _module(name: str, said_by: str, evidence: Evidence, backend: RaisedError | None = None) -> Cause | NoCause:
    if not all(map(str.isidentifier, name.split("."))):
        # An exception has any text for a name.
        return NoCause(f"{name[:300]!r} is no module's name")
    top = name.partition(".")[0]
    if unmendable.is_pythons_own(name):
        return NoCause(f"{name} is, or was, Python's own")
    records = [sought for sought in evidence.sought if sought.name == name]
    if not records:
        return NoCause(f"{name} is named, but no process of the build looked for it ({said_by[:300]})")
    parent = name.rpartition(".")[0]
    if parent and parent not in namespaces() and any(sought.parent_found for sought in records):
        return NoCause(f"{parent} is there, but has no {name}: another version is wanted")
    if top == "pkg_resources":
        return NeedsOlderSetuptools(top, PKG_RESOURCES_DROPPED)
    wanted = _BACKEND.search(backend.message) if backend else None
    if wanted and (wanted["backend"] == name or wanted["backend"].startswith(f"{name}.")):
        # Inside a namespace the error names the namespace alone, the backend's path the whole.
        return MissingModule(wanted["backend"] if name in namespaces() else name, backend=True)
    return MissingModule(name)


def _in_messages(evidence: Evidence) -> Cause | NoCause | None:
    """Return the cause in an exception's prose: `please install PyTorch first: No module named 'torch'`."""
    found = (_in_line(line, evidence) for error in evidence.errors for line in error.message.splitlines())
    return next((each for each in found if each is not None), None)


def _in_output(evidence: Evidence) -> Cause | NoCause | None:
    for line in reversed(evidence.output.splitlines()[-OUTPUT_LINES:]):
        reason = unmendable.reason_in(line)
        if reason is not None:
            return NoCause(f"{reason} ({line.strip()[:300]})")
        found = _in_line(line, evidence)
        if found is not None:
            return found
    return None


def _in_line(line: str, evidence: Evidence) -> Cause | NoCause | None:
    said_by = line.strip()
    if _NO_BDIST_WHEEL.search(line):
        return MissingDistribution("wheel")
    asked = _SETUP_REQUIRES.search(line)
    if asked and any(sought.name == "pip" for sought in evidence.sought):
        # setuptools makes an exit of its error, which leaves this line and no exception.
        return MissingDistribution(asked["requirement"])
    named = list(_NAMED.finditer(line))
    if named:
        found = named[-1]
        if "is not a package" in found["rest"] or "cannot be directly executed" in found["rest"]:
            return NoCause(f"{said_by}: it is there, but not as the build wants it")
        return _module(found["name"], said_by, evidence)
    module = module_asked_for(line, {sought.name.partition(".")[0] for sought in evidence.sought})
    # The word is one that was looked for; `_module` asks the rest.
    return _module(module, said_by, evidence) if module else None
