"""``pipfast store``: actions on the store, and their output."""

from __future__ import annotations

import re
import sys
import time
from fnmatch import fnmatch
from types import MappingProxyType
from typing import TYPE_CHECKING

from pipfast.commands.command_line import Action, CommandError, Option, Parser, json_option, write_problems
from pipfast.commands.documents import (
    BucketInfo,
    Count,
    DamagedEntry,
    Removed,
    StoredWheel,
    StoreInfo,
    Verified,
)
from pipfast.commands.output import above_bound, display_size, print_json, program
from pipfast.report import counted, visible
from pipfast.settings import size_in_bytes
from pipfast.store.folder import default_root
from pipfast.store.layout import Layout, layout_to_look_at
from pipfast.store.names import ARCHIVES, BUCKETS, BYTECODE, TREES, WORDS
from pipfast.store.notes import note_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from optparse import Values
    from pathlib import Path

    from pipfast.settings import Settings
    from pipfast.upkeep.maintenance import Freed


_AGE_UNITS = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800})


def main(arguments: list[str], settings: Settings, examine: object = None) -> int:
    """Run ``pipfast store ...`` and return its exit code; nothing of pip is examined.

    :raises PipfastError: it cannot be done.
    """
    action, options, words = parser().read_action(arguments)
    write_problems(settings)
    if settings.problems and action.run in (_prune, _purge):
        # The default took the place of a store that could not be read, or whose variable is misspelt.
        raise CommandError("nothing is removed: another store may be meant",
                           f"mend the settings; `{program()} doctor -v` lists them")
    options.bound = settings.store_size
    return action.run(options, words, settings.store or default_root())


def age_in_seconds(text: str) -> float:
    """Read an age: ``12h``, ``30d``, ``2w``.

    :raises ValueError: it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip().lower(), re.ASCII)
    if match is None:
        raise ValueError(f"{text!r} is no age such as 12h, 30d or 2w")
    return float(match[1]) * _AGE_UNITS[match[2]]


def parser() -> Parser:
    """Return what reads the command line of ``pipfast store``."""
    return Parser(
        "store",
        "Look at what pipfast keeps for all environments of this user, check it, make it smaller.\n"
        "Losing it loses time only; every action is safe while installations run.",
        [
            Option("--built", action="store_true", default=False,
                   help="List the wheels of rescued builds and of the team's store, and what they were built "
                   "against."),
            Option("--ci", action="store_true", default=False,
                   help="Keep only what takes longer to make than to fetch, for the cache of a CI job: compiled "
                   "wheels, wheels of rescued builds, and notes."),
            Option("--dry-run", action="store_true", default=False, help="Only report, remove nothing."),
            Option("--max-size", read=size_in_bytes, metavar="size",
                   help="Make the store no larger than this, such as 500M, 5G or 0."),
            Option("--older-than", read=age_in_seconds, metavar="age",
                   help="Remove what was not used for this long, such as 12h, 30d or 2w."),
            json_option(),
        ],
        actions=MappingProxyType({
            "path": Action(_path, "Print the store's folder."),
            "info": Action(_info, "Show what is in it, how large it is, and how much environments share.",
                           "[--json]"),
            "list": Action(_list, "List the stored archives, all or those like 'numpy-*'.",
                           "[<pattern>] [--built] [--json]", words=1),
            "verify": Action(_verify, "Read everything again and compare; remove what is damaged.",
                             "[--dry-run] [--json]"),
            "prune": Action(_prune, "Remove leftovers, and what was not used for longest.",
                            "[--ci] [--max-size <size>] [--older-than <age>] [--dry-run] [--json]"),
            "purge": Action(_purge, "Remove everything.", "[--json]"),
        }),
    )


def _path(options: Values, words: list[str], root: Path) -> int:
    sys.stdout.write(f"{root}\n")
    return 0


def _info(options: Values, words: list[str], root: Path) -> int:
    info = _facts(layout_to_look_at(root), options.bound)
    if options.json:
        print_json(info)
        return 0
    print(f"Store: {info.path}")
    bound = "" if info.bound is None else f", which may be {display_size(info.bound)}"
    print(f"Size: {display_size(info.bytes)}, of which environments share {display_size(info.shared_bytes)}")
    print(f"Only here: {display_size(info.own_bytes)}{bound} (clones, which nobody sees, among it)")
    # Not the folders of an empty store, which stay.
    kept = sum(each.bytes - each.shared_bytes for each in info.buckets.values() if each.entries)
    if above := above_bound(kept + info.leftover_bytes + info.in_use_bytes, info.bound, info.in_use_bytes):
        print(f"It is {above}")
    for bucket, facts in info.buckets.items():
        shared = f", shared {display_size(facts.shared_bytes)}" if facts.shared_bytes else ""
        size = f"{counted(facts.entries, 'entry')}, {counted(facts.files, 'file')}, {display_size(facts.bytes)}"
        print(f"  {bucket}: {size}{shared} - {WORDS[bucket][1]}")
    left = f", {display_size(info.leftover_bytes)} ({program()} store prune removes them)"
    print(f"Leftovers of killed commands: {info.leftovers}{left if info.leftovers else ''}")
    if info.in_use:
        print(f"In use by running commands: {info.in_use}")
    return 0


def _facts(layout: Layout, bound: int | None) -> StoreInfo:
    from pipfast.upkeep.inventory import Usage, entries, in_use, leftovers, usage_of

    counts = dict.fromkeys(BUCKETS, 0)
    for entry in entries(layout):
        counts[entry.bucket] += 1
    buckets = {}
    for bucket in BUCKETS:
        usage = usage_of(layout.root / bucket)
        buckets[bucket] = BucketInfo(counts[bucket], usage.bytes, usage.shared, usage.files)
    total, left, used = usage_of(layout.root), leftovers(layout), in_use(layout)
    of_leftovers, of_used = Usage(), Usage()
    for paths, usage in (left, of_leftovers), (used, of_used):
        for path in paths:
            usage.add(path)
    return StoreInfo(layout.root, sum(counts.values()), total.bytes, total.shared, buckets,
                     len(left), of_leftovers.bytes, len(used), note_key(BUCKETS)[:8],
                     total.bytes - total.shared, bound, of_used.bytes - of_used.shared)


def _list(options: Values, words: list[str], root: Path) -> int:
    pattern = words[0] if words else "*"
    if options.built:
        return _list_built(options, pattern, root)
    rows = [row for row in _rows(layout_to_look_at(root)) if fnmatch(row.name.lower(), pattern.lower())]
    if options.json:
        print_json(rows)
        return 0
    names = max((len(visible(row.name)) for row in rows), default=0)
    sizes = max((len(display_size(row.bytes)) for row in rows), default=0)
    for row in rows:
        used = time.strftime("%Y-%m-%d", time.localtime(row.last_use))
        # e.g. `cpython-311-a70d0d0a-opt0-timestamp`: which interpreter it is for is what a reader knows.
        compiled = sorted({tag.rpartition("-opt")[0].rpartition("-")[0] or tag for tag in row.bytecode})
        kept = ["unpacked"] * row.unpacked + [f"compiled for {', '.join(compiled)}"] * bool(compiled)
        size = display_size(row.bytes)
        print(f"{visible(row.name):<{names}}  {size:>{sizes}}  {used}  {', '.join(kept) or 'archive only'}")
    if not rows:
        print(_none("No archives stored", pattern))
    return 0


def _list_built(options: Values, pattern: str, root: Path) -> int:
    from pipfast.rescue.wheels import all_built

    found = [built for built in all_built(layout_to_look_at(root))
             if fnmatch(built.filename.lower(), pattern.lower())]
    found.sort(key=lambda built: (built.filename.lower(), built.built))
    if options.json:
        print_json(found)
        return 0
    for built in found:
        made = time.strftime("%Y-%m-%d", time.localtime(built.built))
        against = ", ".join(f"{each.name} {each.version}" for each in built.visible)
        origin = f"  (the team's store: {built.origin})" if built.origin else ""
        print(visible(f"{built.filename}  {made}  {against}{origin}"))
    if not found:
        print(_none("No wheels of rescued builds stored", pattern))
    return 0


def _none(what: str, pattern: str) -> str:
    """Return the line in the place of an empty list, as those of pip's ``cache``."""
    return f"{what}." if pattern == "*" else f'{what} for pattern "{pattern}".'


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


def _verify(options: Values, words: list[str], root: Path) -> int:
    from pipfast.upkeep.verify import verify

    verdict = verify(layout_to_look_at(root), keep=options.dry_run)
    if options.json:
        print_json(Verified(root, verdict.checked, [
            DamagedEntry(each.path, each.name or None, each.reason, each.removed) for each in verdict.damages
        ]))
    else:
        for damage in verdict.damages:
            done = "Removed" if damage.removed else "Damaged"
            line = f"{damage.name}: {damage.reason} ({damage.path})" if damage.name else (
                f"{damage.path}: {damage.reason}"
            )
            print(visible(f"{done}: {line}"))
        print(f"Checked {counted(verdict.checked, 'entry')}: {len(verdict.damages) or 'none'} damaged")
    return 1 if verdict.damages else 0


def _prune(options: Values, words: list[str], root: Path) -> int:
    from pipfast.rescue.wheels import all_built
    from pipfast.upkeep.maintenance import Freed, prune

    layout = layout_to_look_at(root)
    if not root.exists():
        return _tell(Freed(dry_run=options.dry_run), options, root)
    rescued = {built.digest for built in all_built(layout)} if options.ci else None
    freed = prune(layout, max_size=options.max_size, older_than=options.older_than, rescued=rescued,
                  bound=options.bound, dry_run=options.dry_run)
    if options.ci and not options.json:
        from pipfast.upkeep.inventory import usage_of

        print(f"Kept: {_summary((entry.bucket, usage_of(entry.path).bytes) for entry in freed.kept)}")
        dropped = _summary((entry.bucket, size) for entry, size in freed.removed)
        print(f"{'Would drop' if options.dry_run else 'Dropped'}: {dropped}")
    return _tell(freed, options, root)


def _summary(sizes: Iterable[tuple[str, int]]) -> str:
    """Return ``archives 12 (3.4 MB), notes 316 (1.9 MB)``, or ``nothing``.

    :param sizes: bucket and bytes of each entry.
    """
    words = {ARCHIVES: "archives", TREES: "unpacked wheels", BYTECODE: "bytecode"}
    counts = {word: Count() for word in (*words.values(), "notes")}
    for bucket, size in sizes:
        counts[words.get(bucket, "notes")].add(size)
    return ", ".join(f"{word} {count.entries} ({display_size(count.bytes)})"
                     for word, count in counts.items() if count.entries) or "nothing"


def _purge(options: Values, words: list[str], root: Path) -> int:
    from pipfast.upkeep.maintenance import Freed, purge

    if not root.exists() and not options.json:
        print(f"There is no store at {root}")
        return 0
    return _tell(purge(Layout(root)) if root.exists() else Freed(), options, root)


def _tell(freed: Freed, options: Values, root: Path) -> int:
    if options.json:
        print_json(_document(freed, root))
        return 0
    left = f" ({display_size(freed.leftover_bytes)})" if freed.leftovers else ""
    done = "Would remove" if freed.dry_run else "Removed"
    print(f"{done} {counted(freed.entries, 'entry')}, {counted(freed.orphans, 'orphan')} and "
          f"{counted(freed.leftovers, 'leftover')}{left}: {display_size(freed.bytes)} freed" + (
              f"; {display_size(freed.shared)} more are on the disk until environments give them up"
              if freed.shared else ""))
    if freed.in_use:
        print(f"Left alone: {counted(freed.in_use, 'file or folder', 'files or folders')} of running commands")
    return 0


def _document(freed: Freed, root: Path) -> Removed:
    from pipfast.upkeep.inventory import usage_of

    document = Removed(root, freed.entries, freed.orphans, freed.leftovers, freed.leftover_bytes, freed.bytes,
                       freed.shared, freed.in_use, freed.dry_run)
    for entry, size in freed.removed:
        document.removed.setdefault(entry.bucket, Count()).add(size)
    for entry in freed.kept:
        document.kept.setdefault(entry.bucket, Count()).add(usage_of(entry.path).bytes)
    return document
