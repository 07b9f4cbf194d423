"""``pipfast store``: actions on the store, and their output."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatch
from types import MappingProxyType
from typing import TYPE_CHECKING

from pipfast.commands.output import display_size, program
from pipfast.errors import PipfastError
from pipfast.store.folder import default_root
from pipfast.store.layout import Layout, open_layout
from pipfast.store.names import ARCHIVES, BUCKETS, BYTECODE, TREES, WORDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipfast.settings import Settings
    from pipfast.upkeep.maintenance import Freed

_SIZE_UNITS = MappingProxyType({
    "": 1, "b": 1, "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9, "t": 10**12,
    "tb": 10**12,
})
_AGE_UNITS = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800})


@dataclass(slots=True)
class StoredWheel:
    """An archive of the store: a row of ``pipfast store list``."""

    name: str
    sha256: str
    archive: bool = False
    bytes: int = 0
    last_use: float = 0.0
    """Seconds since the epoch."""
    unpacked: bool = False
    bytecode: list[str] = field(default_factory=list)
    """Tags of interpreters."""


def main(arguments: list[str], settings: Settings, examine: object = None) -> int:
    """Run ``pipfast store ...`` and return its exit code; nothing of pip is examined."""
    options = parser().parse_args(arguments)
    run: Callable[[argparse.Namespace, Path], int] = options.run
    sys.stderr.write("".join(f"pipfast: {problem}\n" for problem in settings.problems))
    if settings.problems and run in (_prune, _purge):
        # The default took the place of a store that could not be read, or whose variable is misspelt.
        sys.stderr.write("pipfast: nothing is removed: another store may be meant\n"
                         "hint: mend the settings; `pipfast doctor -v` lists them\n")
        return 1
    try:
        return run(options, settings.store or default_root())
    except PipfastError as error:
        sys.stderr.write(f"pipfast: {error}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return 1


def size_in_bytes(text: str) -> int:
    """Read a size: ``0``, ``500M``, ``1.5G``; units are powers of ten, as where pip shows sizes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower(), re.ASCII)
    if match is None or match[2] not in _SIZE_UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 500M or 5G")
    return int(float(match[1]) * _SIZE_UNITS[match[2]])


def age_in_seconds(text: str) -> float:
    """Read an age: ``12h``, ``30d``, ``2w``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip().lower(), re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age such as 12h, 30d or 2w")
    return float(match[1]) * _AGE_UNITS[match[2]]


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line of ``pipfast store``."""
    parser = argparse.ArgumentParser(
        f"{program()} store",
        description="The store keeps what was downloaded, unpacked and byte-compiled, for all environments "
        "of this user. Losing it loses time only; every action is safe while installations run.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, run: Callable[..., int], text: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    action("path", _path, "Print the store's folder.")
    info = action("info", _info, "Show how many entries the store has and the disk space they take.")
    listing = action("list", _list, "List the stored archives.")
    listing.add_argument("pattern", nargs="?", default="*",
                         help="only file names that match, such as 'numpy-*' (default: all)")
    listing.add_argument("--built", action="store_true",
                         help="list the wheels of rescued builds, and what they were built against")
    verify = action("verify", _verify, "Read every file of the store and compare it with what was stored. "
                    "Damaged entries are removed; they are made again when they are needed.")
    verify.add_argument("--dry-run", action="store_true", help="only report, remove nothing")
    for each in (info, listing, verify):
        each.add_argument("--json", action="store_true", help="print one JSON document")
    prune = action("prune", _prune, "Remove what was not used for longest. Without options, only what "
                   "nobody can use any more: leftovers of dead processes, and orphans.")
    prune.add_argument("--max-size", type=size_in_bytes, metavar="SIZE",
                       help="make the store no larger than this, such as 500M, 5G or 0")
    prune.add_argument("--older-than", type=age_in_seconds, metavar="AGE",
                       help="remove what was not used for this long, such as 12h, 30d or 2w")
    action("purge", _purge, "Remove the whole store.")
    return parser


def _path(options: argparse.Namespace, root: Path) -> int:
    sys.stdout.write(f"{root}\n")
    return 0


def _info(options: argparse.Namespace, root: Path) -> int:
    from pipfast.upkeep.inventory import entries, in_use, leftovers, usage_of

    layout = open_layout(root)
    counts = dict.fromkeys(BUCKETS, 0)
    for entry in entries(layout):
        counts[entry.bucket] += 1
    total = usage_of(layout.root)
    buckets: dict[str, dict[str, int]] = {}
    for bucket in BUCKETS:
        usage = usage_of(layout.root / bucket)
        buckets[bucket] = {"entries": counts[bucket], "bytes": usage.bytes, "shared_bytes": usage.shared,
                           "files": usage.files}
    document = {
        "path": str(layout.root), "entries": sum(counts.values()), "bytes": total.bytes,
        "shared_bytes": total.shared, "buckets": buckets,
        "leftovers": len(leftovers(layout)), "in_use": len(in_use(layout)),
    }
    if options.json:
        return _print_json(document)
    print(f"Store: {layout.root}")
    print(f"Size: {display_size(total.bytes)}, of which environments share {display_size(total.shared)}")
    for bucket, facts in buckets.items():
        shared = f", shared {display_size(facts['shared_bytes'])}" if facts["shared_bytes"] else ""
        size = f"{facts['entries']} entries, {facts['files']} files, {display_size(facts['bytes'])}{shared}"
        print(f"  {bucket}: {size} - {WORDS[bucket][1]}")
    print(f"Leftovers in tmp: {document['leftovers']} (and {document['in_use']} of running processes)")
    return 0


def _list(options: argparse.Namespace, root: Path) -> int:
    if options.built:
        return _list_built(options, root)
    rows = [row for row in _rows(open_layout(root)) if fnmatch(row.name.lower(), options.pattern.lower())]
    if options.json:
        return _print_json([asdict(row) for row in rows])
    names = max((len(row.name) for row in rows), default=0)
    sizes = max((len(display_size(row.bytes)) for row in rows), default=0)
    for row in rows:
        used = time.strftime("%Y-%m-%d", time.localtime(row.last_use))
        # e.g. `cpython-311-a70d0d0a-opt0-timestamp`: which interpreter it is for is what a reader knows.
        compiled = sorted({tag.rpartition("-opt")[0].rpartition("-")[0] or tag for tag in row.bytecode})
        kept = ["unpacked"] * row.unpacked + [f"compiled for {', '.join(compiled)}"] * bool(compiled)
        size = display_size(row.bytes)
        print(f"{row.name:<{names}}  {size:>{sizes}}  {used}  {', '.join(kept) or 'archive only'}")
    return 0


def _list_built(options: argparse.Namespace, root: Path) -> int:
    from pipfast.rescue.wheels import all_built

    found = [built for built in all_built(open_layout(root))
             if fnmatch(built.filename.lower(), options.pattern.lower())]
    found.sort(key=lambda built: (built.filename.lower(), built.built))
    if options.json:
        return _print_json([asdict(built) for built in found])
    for built in found:
        made = time.strftime("%Y-%m-%d", time.localtime(built.built))
        against = ", ".join(f"{each.name} {each.version}" for each in built.visible)
        print(f"{built.filename}  {made}  {against}")
    return 0


def _rows(layout: Layout) -> list[StoredWheel]:
    from pipfast.store.archives import archive_name
    from pipfast.upkeep.inventory import entries, usage_of

    rows: dict[str, StoredWheel] = {}
    for entry in entries(layout):
        if entry.bucket not in (ARCHIVES, TREES, BYTECODE):
            continue
        row = rows.setdefault(
            entry.digest, StoredWheel(f"({entry.digest[:16]}, without its archive)", entry.digest)
        )
        row.bytes += usage_of(entry.path).bytes
        row.last_use = max(row.last_use, entry.last_use)
        if entry.bucket == ARCHIVES:
            row.archive = True
            row.name = archive_name(entry.path) or row.name
        elif entry.bucket == TREES:
            row.unpacked = True
        elif entry.path.name not in row.bytecode:
            row.bytecode.append(entry.path.name)
    return sorted(rows.values(), key=lambda row: (row.name.lower(), row.sha256))


def _verify(options: argparse.Namespace, root: Path) -> int:
    from pipfast.upkeep.verify import verify

    verdict = verify(open_layout(root), keep=options.dry_run)
    if options.json:
        damaged = [{"path": str(damage.path), "name": damage.name or None, "reason": damage.reason,
                    "removed": damage.removed}
                   for damage in verdict.damages]
        _print_json({"path": str(root), "checked": verdict.checked, "damaged": damaged})
    else:
        for damage in verdict.damages:
            done = "Removed" if damage.removed else "Damaged"
            line = f"{damage.name}: {damage.reason} ({damage.path})" if damage.name else (
                f"{damage.path}: {damage.reason}"
            )
            print(f"{done}: {line}")
        print(f"Checked {verdict.checked} entries: {len(verdict.damages) or 'none'} damaged")
    return 1 if verdict.damages else 0


def _prune(options: argparse.Namespace, root: Path) -> int:
    from pipfast.upkeep.maintenance import prune

    freed = prune(open_layout(root), max_size=options.max_size, older_than=options.older_than)
    return _print_freed(freed)


def _purge(options: argparse.Namespace, root: Path) -> int:
    from pipfast.upkeep.maintenance import purge

    if not root.exists():
        print(f"There is no store at {root}")
        return 0
    return _print_freed(purge(Layout(root)))


def _print_freed(freed: Freed) -> int:
    print(f"Removed {freed.entries} entries, {freed.orphans} orphans and {freed.leftovers} leftovers: "
          f"{display_size(freed.bytes)} freed" + (
              f"; {display_size(freed.shared)} more are on the disk until environments give them up"
              if freed.shared else ""))
    if freed.in_use:
        print(f"Left alone: {freed.in_use} folders of running processes")
    return 0


def _print_json(document: object) -> int:
    json.dump(document, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0
