"""Text of ``pipfast doctor``: a page to read, and with ``-v`` everything that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipfast.commands.output import display_size, program

if TYPE_CHECKING:
    from collections.abc import Mapping

_DOES = {
    "downloads": "archives come in parallel, and from the store",
    "index": "index pages come ahead, and are read once",
    "metadata": "metadata comes ahead, and is read once",
    "resolution": "answers are kept for the resolver",
    "install": "wheels are unpacked once, and {link}",
    "installed": "installed packages are read once",
    "builds": "build environments come from the store; builds run in parallel and are rescued",
    "program": "commands load only what they use",
}
"""What each family of hooks does, in a few words."""

_DOES_WITHOUT_STORE = {
    "downloads": "archives come in parallel",
    "install": "left to pip: there is no store",
    "builds": "builds run in parallel",
    "index": "index pages come ahead",
}
"""The same where nothing is kept, as far as it differs."""

_LINKS = {
    "clone": "clones", "hardlink": "hard links", "own-sources": "copies of sources and links",
    "copy": "copies", "none": "nothing", "pip": "as pip alone does",
}


def page(document: Mapping[str, Any], usual: Mapping[str, Any]) -> list[str]:
    """Return the diagnosis on one page.

    :param usual: the settings of somebody who has set nothing.
    """
    interpreter, pip, store, link = (document[key] for key in ("interpreter", "pip", "store", "link"))
    where = "a virtual environment" if interpreter["virtual_environment"] else "not a virtual environment"
    newer = f"; newer than {pip['newest_tested']}, the newest tested" if pip["newer_than_tested"] else ""
    libraries = ", ".join(f"{name} {value}" for name, value in _libraries(document).items())
    changed = [f"{name}={_shown(value)}" for name, value in document["settings"].items()
               if name != "problems" and value != usual[name]]
    lines = [
        f"pipfast {document['pipfast']['version']} with pip {pip['version']}{newer}",
        f"  environment  {interpreter['prefix']} ({where})",
        f"  interpreter  {interpreter['path']} ({_name(interpreter)} {interpreter['version']})",
        f"  pipfast      {document['pipfast']['location']}",
        f"  pip          {pip['location']}",
        f"  libraries    {libraries}",
        *(f"  {'settings' if not number else '':<11}  {each}" for number, each in enumerate(changed or ["none"])),
        "what it does",
        *_families(document),
        f"store          {store['path']}",
    ]
    if store["usable"]:
        size = display_size(sum(store["buckets"].values()))
        lines.append(f"  size         {size}{_free(store)}{_leftovers(store)}")
    else:
        lines.append("  not usable   pip keeps and installs files alone")
    reason = f" ({link['reason']})" if link["reason"] else ""
    lines.append(f"  installs     {_LINKS[link['mode']]} into {link['target']}{reason}")
    if link["shared_by_root"]:
        lines.append("               PIPFAST_LINK_MODE=copy for what you will chown: links share their owner")
    return [*lines, *_problems(document)]


def everything(document: Mapping[str, Any]) -> list[str]:
    """Return all settings, every function of pip's, and the store's parts."""
    lines = ["settings"]
    lines += [f"  {name}: {_shown(value)}" for name, value in document["settings"].items() if name != "problems"]
    lines.append("functions of pip")
    for seam in document["seams"]:
        lines.append(f"  {seam['name']}: {seam['state']}" + (f" ({seam['why']})" if seam["why"] else ""))
    if document["store"]["usable"]:
        lines.append("store")
        lines += [f"  {bucket}: {display_size(size)}" for bucket, size in document["store"]["buckets"].items()]
    return lines


def _families(document: Mapping[str, Any]) -> list[str]:
    if document["settings"]["PIPFAST"] == "off":
        return ["  nothing      pip runs alone (PIPFAST=off)"]
    disabled = document["settings"]["PIPFAST_DISABLE"]
    lines = []
    link = {"copy": "copied", "clone": "cloned"}.get(document["link"]["mode"], "linked")
    without = {} if document["store"]["usable"] else _DOES_WITHOUT_STORE
    for family, does in {**_DOES, **without}.items():
        seams = [seam for seam in document["seams"] if seam["family"] == family]
        left = sum(not seam["as_wanted"] for seam in seams)
        if family in disabled:
            state = "off (PIPFAST_DISABLE)"
        elif not seams:
            state = "left to pip"
        else:
            state = does.format(link=link)
            state += f"; {left} of {len(seams)} functions are left to pip" if left else ""
        lines.append(f"  {family:<11}  {state}")
    return lines


def _problems(document: Mapping[str, Any]) -> list[str]:
    """Return the problems; those of pip's functions, of which there may be dozens, are one."""
    odd = [seam for seam in document["seams"] if not seam["as_wanted"]]
    of_seams = {f"{seam['name']} stays stock: {seam['why'] or seam['state']}" for seam in odd}
    problems = [each for each in document["problems"] if each not in of_seams]
    if odd:
        newer = document["pip"]["newer_than_tested"]
        why = "this pip is newer than pipfast knows" if newer else "they are not as pipfast knows them"
        left = f"{len(odd)} functions of pip are" if len(odd) > 1 else "1 function of pip is"
        problems.insert(0, f"{left} left to pip: {why} ({program()} doctor -v names them)")
    if not problems:
        return ["no problems"]
    hint = document["store"]["hint"]
    return ["problems", *(f"  {each}" for each in problems), *([f"hint: {hint}"] if hint else [])]


def _libraries(document: Mapping[str, Any]) -> dict[str, str]:
    libraries = dict(document["libraries"])
    inflate = libraries.pop("inflate", "")
    return {**libraries, **dict([inflate.split(" ", 1)] if " " in inflate else [])}


def _name(interpreter: Mapping[str, Any]) -> str:
    name = str(interpreter["implementation"])
    return {"cpython": "CPython", "pypy": "PyPy"}.get(name, name)


def _free(store: Mapping[str, Any]) -> str:
    return "" if store["free"] is None else f", and {display_size(store['free'])} free"


def _leftovers(store: Mapping[str, Any]) -> str:
    count = store["leftovers"]
    return f", and {count} leftovers of killed commands ({program()} store prune removes them)" if count else ""


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{package}: {', '.join(each)}" for package, each in value.items())
    shown = ", ".join(value) if isinstance(value, list) else value
    return str(shown) if shown not in (None, "") else "(not set)"
