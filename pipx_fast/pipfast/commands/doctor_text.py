"""Text of ``pipfast doctor``: a page to read, and everything for ``-v``."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from pipfast.commands.output import above_bound, display_size, program
from pipfast.report import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipfast.commands.facts import Diagnosis, SeamFacts
    from pipfast.remote.health import TeamFacts

_DOES = MappingProxyType({
    "downloads": "archives come in parallel, and from the store",
    "index": "index pages come ahead, and are read once",
    "metadata": "metadata comes ahead, and is read once",
    "resolution": "answers are kept for the resolver",
    "install": "wheels are unpacked once, and {link}",
    "installed": "installed packages are read once",
    "builds": "build environments come from the store; builds run in parallel and are rescued",
    "program": "commands load only what they use",
})
"""What each family of hooks does, in a few words."""

_DOES_WITHOUT_STORE = MappingProxyType({
    "downloads": "archives come in parallel",
    "builds": "builds run in parallel",
    "index": "index pages come ahead",
})
"""The same without a store, as far as it differs."""

_LINKS = MappingProxyType({
    "clone": "clones", "hardlink": "hard links", "own-sources": "copies of sources and links",
    "copy": "copies", "none": "nothing", "pip": "as pip alone does",
})

PAGE_LINES = 25
"""Lines of the page: what a terminal shows without scrolling."""


def page(diagnosis: Diagnosis, usual: Mapping[str, object]) -> list[str]:
    """Return the diagnosis in at most ``PAGE_LINES`` lines.

    :param usual: the settings of somebody who has set nothing.
    """
    head, tail = _head(diagnosis), ["what it does", *_families(diagnosis), *_store(diagnosis)]
    problems, hint = _problems(diagnosis)
    settings = [f"{name}={_shown(value)}" for name, value in diagnosis.settings.items()
                if name != "problems" and value != usual[name]] or ["none"]
    room = PAGE_LINES - len(head) - len(tail) - len(hint) - bool(problems)
    settings = _at_most(settings, max(1, room - len(problems)))
    return [
        *head,
        *(f"  {'settings' if not number else '':<11}  {each}" for number, each in enumerate(settings)),
        *tail,
        "problems" if problems else "no problems",
        *(f"  {each}" for each in _at_most(problems, room - len(settings))),
        *hint,
    ]


def everything(diagnosis: Diagnosis) -> list[str]:
    """Return all settings, functions of pip's and problems, and the store's parts."""
    lines = [f"libraries in {diagnosis.libraries.folder}"]
    lines += [f"  {name}: {version}" for name, version in diagnosis.libraries.versions.items()]
    lines.append("settings")
    lines += [f"  {name}: {_shown(value)}" for name, value in diagnosis.settings.items() if name != "problems"]
    lines.append("functions of pip")
    lines += [f"  {seam.name}: {seam.state}" + (f" ({seam.why})" if seam.why else "") for seam in diagnosis.seams]
    if diagnosis.store.usable:
        lines.append("store")
        lines += [f"  {bucket}: {display_size(size)}" for bucket, size in diagnosis.store.buckets.items()]
    if diagnosis.kept_answers:
        lines.append("kept answers in this folder")
        lines += [f"  {each.words}: {f'pip is asked, as {each.why}' if each.why else 'given again'} ({each.made})"
                  for each in diagnosis.kept_answers]
    return lines + ["problems", *(f"  {each}" for each in diagnosis.problems)] * bool(diagnosis.problems)


def stays_stock(seam: SeamFacts) -> str:
    """Return the problem that pip's own code runs in a seam's place."""
    return f"{seam.name} stays stock: {seam.why or seam.state}"


def _at_most(rows: list[str], count: int) -> list[str]:
    """Return the first rows, and in the place of those that have no room a line about them."""
    if len(rows) <= count:
        return rows
    return [*rows[: count - 1], f"{len(rows) - count + 1} more: {program()} doctor -v"]


def _head(diagnosis: Diagnosis) -> list[str]:
    interpreter, pip, libraries = diagnosis.interpreter, diagnosis.pip, diagnosis.libraries
    where = "a virtual environment" if interpreter.virtual_environment else "not a virtual environment"
    newer = f"; newer than {pip.newest_tested}, the newest tested" if pip.newer_than_tested else ""
    name = {"cpython": "CPython", "pypy": "PyPy"}.get(interpreter.implementation, interpreter.implementation)
    own = ", ".join(" ".join(each) for each in libraries.versions.items() if each[0] != "isal")
    attached = diagnosis.attached
    # A folder's name is a Python's and its version: /home/me/.local/lib/python3.12/site-packages.
    makers = [Path(place).parent.name for place, each in diagnosis.new_environments.items() if not each.problem]
    return [
        f"pipfast {diagnosis.pipfast.version} with pip {pip.version}{newer}",
        f"  environment  {interpreter.prefix} ({where}; {interpreter.why})",
        f"  interpreter  {interpreter.path} ({name} {interpreter.version})",
        *([f"  managed      pip installs nothing here without --break-system-packages ({interpreter.managed})"]
          if interpreter.managed else []),
        f"  pipfast      {diagnosis.pipfast.location} (shell-hook: {diagnosis.shell or 'none'})",
        f"  pip          {pip.location}",
        *([f"  attached     plain pip runs with pipfast from {attached.pipfast}"]
          if attached and not attached.problem else []),
        *([f"  new ones     attached by venv and virtualenv of {', '.join(makers)}"] if makers else []),
        f"  libraries    {own}, {libraries.inflate}" if own else f"  libraries    none in {libraries.folder}",
    ]


def _families(diagnosis: Diagnosis) -> list[str]:
    if diagnosis.settings["PIPFAST"] == "off":
        return ["  nothing      pip runs alone (PIPFAST=off)"]
    disabled = cast("list[str]", diagnosis.settings["PIPFAST_DISABLE"])
    lines = []
    link = {"copy": "copied", "clone": "cloned"}.get(diagnosis.link.mode, "linked")
    without = {} if diagnosis.store.usable else _DOES_WITHOUT_STORE
    for family, does in {**_DOES, **without}.items():
        seams = [seam for seam in diagnosis.seams if seam.family == family]
        left = sum(not seam.as_wanted for seam in seams)
        if family in disabled:
            state = "off (PIPFAST_DISABLE)"
        elif not seams:
            state = "left to pip"
        elif family == "install" and diagnosis.link.mode == "pip":
            state = f"left to pip: {diagnosis.link.reason}"
        else:
            state = does.format(link=link)
            verb = "is" if left == 1 else "are"
            state += f"; {left} of {counted(len(seams), 'function')} {verb} left to pip" if left else ""
        lines.append(f"  {family:<11}  {state}")
    return lines


def _store(diagnosis: Diagnosis) -> list[str]:
    store, link = diagnosis.store, diagnosis.link
    size = "not usable   pip keeps and installs files alone"
    if store.usable:
        free = "" if store.free is None else f", and {display_size(store.free)} free"
        left = (f", and {counted(store.leftovers, 'leftover')} of killed commands, "
                f"{display_size(store.leftover_bytes)} ({program()} store prune removes them)")
        bound = "no bound" if store.bound is None else f"bound {display_size(store.bound)}"
        own = f"{display_size(store.own_bytes)} only here ({bound})"
        held = display_size(sum(store.buckets.values()))
        size = f"size         {held}, {own}{free}{left if store.leftovers else ''}"
    reason = f" ({link.reason})" if link.reason else ""
    shared = "               PIPFAST_LINK_MODE=copy for what you will chown: links share their owner"
    return [
        *_team(diagnosis.team),
        f"store          {store.path}",
        f"  {size}",
        *([f"               {above}"] if (above := above_bound(store.own_bytes, store.bound)) else []),
        f"  installs     {_LINKS[link.mode]} into {link.target}{reason}",
        *([shared] if link.shared_by_root else []),
    ]


def _team(team: TeamFacts | None) -> list[str]:
    if team is None:
        return []
    if not team.answers:
        state = "left out"
    elif team.creates_only:
        state = "read and written; it creates objects and never replaces them"
    else:
        state = "read only"
    lines = [f"team's store   {team.address} ({', '.join(team.shares)}: {state})"]
    return [*lines, f"  key          {team.key}"] if team.key else lines


def _problems(diagnosis: Diagnosis) -> tuple[list[str], list[str]]:
    """Return the problems and the hint, if any; those of pip's functions, which may be dozens, are one."""
    odd = [seam for seam in diagnosis.seams if not seam.as_wanted]
    of_seams = set(map(stays_stock, odd))
    problems = [each for each in diagnosis.problems if each not in of_seams]
    if odd:
        newer = diagnosis.pip.newer_than_tested
        other = "it is not as pipfast knows it" if len(odd) == 1 else "they are not as pipfast knows them"
        why = "this pip is newer than pipfast knows" if newer else other
        left = f"{counted(len(odd), 'function')} of pip {'is' if len(odd) == 1 else 'are'}"
        problems.insert(0, f"{left} left to pip: {why} ({program()} doctor -v names them)")
    hint = diagnosis.store.hint or (diagnosis.team.hint if diagnosis.team else None)
    return problems, [f"hint: {hint}"] if problems and hint else []


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{package}: {', '.join(each)}" for package, each in value.items())
    shown = ", ".join(value) if isinstance(value, list) else value
    return str(shown) if shown not in (None, "") else "(not set)"
