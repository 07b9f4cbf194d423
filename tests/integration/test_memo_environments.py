"""Installations that are kept for any environment: placed as stock pip installs them, or left to pip."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import venv
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from pipfast.memo.again.halves import LEAST_FILES
from pipfast.memo.entry import read
from support.alike import LEARNING, PLAIN, Asking, World, archives, nothing, picture, plain, site_of
from support.changes import MARK, SETTLED_S
from support.index import Manners, serving
from support.pips import since
from support.snapshot import compare_trees, shared_files, stale_bytecode
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.alike import Before
    from support.snapshot import Tree

pytestmark = [pytest.mark.once, since("26.2", "it asks for each page anew")]

IS_ROOT = os.geteuid() == 0


@dataclass(frozen=True, slots=True)
class Row:
    """One change of a new environment, or of what is around it."""

    name: str
    change: Before = nothing
    then: dict[str, Any] = field(default_factory=dict)
    """What is another in the asking."""
    asking: Asking = PLAIN
    before: Before = nothing
    """Makes each environment what it is."""
    given: bool = False
    """It is placed without pip all the same."""
    never: bool = False
    """It is never placed without pip."""
    spoils: bool = False
    """The store is another one afterwards."""
    fetches: bool = False
    """What pip has at hand is fetched anew."""


def write(name: str, text: str) -> Before:
    """:param name: with ``{env}``, ``{root}``, ``{site}`` or ``{home}``, that of who is asked."""
    def change(world: World, env: Path) -> None:
        path = place(world, env, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(world.told(text, env), encoding="utf-8")
    return change


def folder(name: str) -> Before:
    return lambda world, env: place(world, env, name).mkdir(parents=True)


def link(name: str, target: str) -> Before:
    return lambda world, env: place(world, env, name).symlink_to(place(world, env, target))


def remove(name: str) -> Before:
    def change(world: World, env: Path) -> None:
        path = place(world, env, name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return change


def mode(name: str, bits: int) -> Before:
    return lambda world, env: place(world, env, name).chmod(bits)


def both(*changes: Before) -> Before:
    def change(world: World, env: Path) -> None:
        for each in changes:
            each(world, env)
    return change


def place(world: World, env: Path, name: str) -> Path:
    return Path(world.told(name.replace("{site}", str(site_of(env))).replace("{home}", str(world.home)), env))


def edited(name: str, before: str, after: str, *, times: bool = False) -> Before:
    """Edit a file; ``times``: it keeps them."""
    def change(world: World, env: Path) -> None:
        (path,) = Path("/").glob(str(place(world, env, name))[1:])
        found, text = path.stat(), path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")
        if times:
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    return change


def info(name: str, version: str, more: str = "") -> Before:
    """Make a folder with METADATA, as another tool installs a package."""
    told = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}"
    return write(f"{{site}}/{name}-{version}.dist-info/METADATA", told)


def by_pip(*arguments: str) -> Before:
    """Have pip do something in each environment."""
    def change(world: World, env: Path) -> None:
        more = world.index.args if arguments[0] == "install" else ()
        ended = world.run("pip", env, *arguments[:1], *more, *arguments[1:])
        assert ended.status == 0, ended
    return change


def setgid(world: World, env: Path) -> None:
    for path in (site_of(env), env / "bin"):
        if IS_ROOT:
            os.chown(path, -1, 12345)
        path.chmod(0o2775)


def access_list(world: World, env: Path) -> None:
    """Let new files in site-packages be writable for all, as ``setfacl -d`` does."""
    entries = b"".join(
        kind.to_bytes(2, "little") + bits.to_bytes(2, "little") + b"\xff\xff\xff\xff"
        for kind, bits in ((1, 7), (4, 7), (32, 7))
    )
    try:
        os.setxattr(site_of(env), "system.posix_acl_default", b"\2\0\0\0" + entries)
    except OSError as error:
        pytest.skip(f"no access lists here: {error}")


def of_store(pattern: str, change: str) -> Before:
    """Edit, cut or remove files of the store's: of the store alone, so that stock pip sees no difference."""
    def do(world: World, env: Path) -> None:
        for path in world.store.glob(pattern):
            if change == "removed":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            elif change == "cut":
                path.write_bytes(path.read_bytes()[:-20])
            elif change == "torn":
                path.write_bytes(path.read_bytes()[:-20] + bytes(20))
            elif change == "linked":
                path.rename(world.root / "aside")
                path.symlink_to(world.root / "aside")
            else:
                path.chmod(int(change, 8))
    return do


def store(*arguments: str) -> Before:
    def change(world: World, env: Path) -> None:
        assert world.run("pipfast", env, "store", *arguments).status == 0
    return change


def of_another(world: World, env: Path) -> None:
    for path in world.answers():
        os.chown(path, 12345, 12345)


def pages_gone(world: World, env: Path) -> None:
    shutil.rmtree(world.home / ".cache" / "pip")


def yanked(world: World, env: Path) -> None:
    index = world.server.index("alike")
    for archive in archives():
        index.add(archive, yanked="no good" if archive.filename.startswith("top-1.0") else None)


def newer(world: World, env: Path) -> None:
    world.stock().add(Wheel("top", "2.0").build())


LIMITED = Asking(("-c", "limits.txt", "top"))
UPGRADING = Asking(("--upgrade", "top"))
MANIFESTS, TREES, CODE = "trees-v*/*/*/manifest", "trees-v*/*/*/tree", "bytecode-v*/*/*"
FETCHED = re.compile(r"Downloading (?=.*\n)|<bar .*\n")
SUCCESS = "Successfully installed"

PACKAGES = (
    Row("another package", info("other", "1")),
    Row("a package that needs another version", info("other", "1", "Requires-Dist: bottom>5\n")),
    Row("what is wanted, already there", info("top", "1.0")),
    Row("what is needed, already there", info("bottom", "1.0")),
    Row("what is needed, too old", info("bottom", "0.1")),
    Row("an egg-link", write("{site}/other.egg-link", "/elsewhere\n.")),
    Row("a .pth file", write("{site}/other.pth", "import sys\n")),
    Row("the same .pth file, longer", write("{site}/running.pth", "{root}/ours\n#\n")),
    Row("a module that stands in front", write("{site}/sitecustomize.py", "")),
    Row("a file that nobody reads", write("{env}/bin/other", ""), given=True),
)

PIP_ITSELF = (
    Row("pip edited", edited("{site}/pip/_internal/commands/install.py", SUCCESS, SUCCESS.upper())),
    Row("pip edited, of the same time", edited(
        "{site}/pip/_internal/commands/install.py", SUCCESS, SUCCESS.upper(), times=True)),
    Row("pip without a module", remove("{site}/pip/_internal/commands/hash.py")),
    Row("pip without bytecode", remove("{site}/pip/_internal/cli/__pycache__")),
    Row("pip of another version", edited("{site}/pip-*.dist-info/METADATA", "\nVersion: ", "\nVersion: 1!")),
    Row("pip of another version, in its module", edited(
        "{site}/pip/__init__.py", '__version__ = "', '__version__ = "1!'), fetches=True),
    Row("pip without metadata", lambda w, env: shutil.rmtree(next(site_of(env).glob("pip-*.dist-info")))),
)

ENVIRONMENT = (
    Row("with the packages of Python", edited("{env}/pyvenv.cfg", "packages = false", "packages = true")),
    Row("another key in its settings", edited("{env}/pyvenv.cfg", "home = ", "other = x\nhome = ")),
    Row("another prompt", edited("{env}/pyvenv.cfg", "home = ", "prompt = x\nhome = "), given=True),
    Row("settings that only pip's would be", write("{env}/pip.conf", "[install]\nno-compile = true\n")),
    Row("managed by others", write("{site}/../EXTERNALLY-MANAGED", "[externally-managed]\n"), given=True),
    Row("a setgid folder", setgid),
    Row("an access list", access_list, given=True),
    Row("Python under another name", both(
        remove("{env}/bin/python"), lambda w, env: (env / "bin" / "python").symlink_to("python3"),
        lambda w, env: (env / "bin" / "python3").unlink(),
        lambda w, env: (env / "bin" / "python3").symlink_to(Path(sys.executable).resolve()))),
)

IN_THE_WAY = (
    Row("a made script", write("{env}/bin/top-run", "mine\n")),
    Row("a script that is a link", both(
        write("{root}/aside.txt", "mine\n"), link("{env}/bin/top-run", "{root}/aside.txt"))),
    Row("a script that is a link to nowhere", link("{env}/bin/made", "{env}/nowhere")),
    Row("an own script", write("{env}/bin/own", "mine\n")),
    Row("an own script's bytecode", write("{env}/bin/__pycache__/other.pyc", ""), given=True),
    Row("a script that is a folder", folder("{env}/bin/plain")),
    Row("a package that is a file", write("{site}/top", "mine\n")),
    Row("a package's folder", folder("{site}/top")),
    Row("a package's folder with its file", write("{site}/top/__init__.py", "mine = 1\n")),
    Row("a package's folder with others'", write("{site}/top/other.py", "mine = 1\n")),
    Row("a package that is a link", both(
        folder("{env}/aside"), link("{site}/top", "{env}/aside"))),
    Row("a package that is a link to nowhere", link("{site}/top", "{env}/nowhere")),
    Row("a module", write("{site}/bottom.py", "mine = 1\n")),
    Row("a module that is a link", both(
        write("{root}/aside.txt", "mine\n"), link("{site}/bottom.py", "{root}/aside.txt"))),
    Row("a module that is a folder", folder("{site}/bottom.py")),
    Row("metadata that is a file", write("{site}/top-1.0.dist-info", "")),
    Row("metadata that is an empty folder", folder("{site}/top-1.0.dist-info")),
    Row("data that is there", write("{env}/share/scripted/data.txt", "mine\n")),
    Row("data's folder", folder("{env}/share"), given=True),
    Row("data's folder that is a link", both(folder("{env}/aside"), link("{env}/share", "{env}/aside")),
        given=True),
    Row("headers' folder", folder("{env}/include/site"), given=True),
)

AROUND = (
    Row("another umask", then={"umask": 0o077}),
    Row("another umask from the start", asking=Asking(umask=0o027), given=True),
    Row("an option", then={"arguments": ("top", "scripted", "--no-compile")}),
    Row("a variable of pip's", then={"variables": {"PIP_NO_COMPILE": "1"}}),
    Row("a variable that nobody knows", then={"variables": {"OTHER": "1"}}),
    Row("a variable with the environment's folder", asking=Asking(variables={"OTHER": "{env}/x:/y"}), given=True),
    Row("a flag", then={"flags": ("-O",)}),
    Row("another current folder", then={"folder": "tmp"}),
    Row("switched off", then={"variables": {"PIPFAST_DISABLE": "memo"}}),
    Row("a constraint", write("{root}/work/limits.txt", "bottom<=9\n"), asking=LIMITED),
    Row("no constraint", asking=LIMITED, given=True),
    Row("the user's configuration", write("{home}/.config/pip/pip.conf", "[install]\nno-compile = true\n")),
    Row("the machine's configuration", write("{root}/xdg/pip/pip.conf", "[install]\nno-compile = true\n")),
    Row("a newer version, pages fresh", newer, given=True),
    Row("a newer version, pages gone", both(newer, pages_gone), spoils=True, fetches=True),
    Row("yanked, pages gone", both(yanked, pages_gone), spoils=True, fetches=True),
    Row("pages gone", pages_gone, spoils=True, fetches=True),
    Row("without bytecode", asking=Asking(("--no-compile", "top", "scripted")), given=True),
    Row("without what is needed", asking=Asking(("--no-deps", "top", "scripted")), given=True),
    Row("what is needed, named", asking=Asking(("top", "bottom")), given=True),
    Row("a script in the place of another wheel's file", asking=Asking(("maker",)), given=True),
    Row("an older version", asking=Asking(("top<1",)), given=True),
    Row("upgrading", asking=UPGRADING, given=True),
    Row("a time for bytecode", asking=Asking(variables={"SOURCE_DATE_EPOCH": "1580608922"}), given=True),
    Row("quiet", asking=Asking(("-q", "top")), given=True),
    Row("copies", asking=Asking(variables={"PIPFAST_LINK_MODE": "copy"}), given=True),
    Row("own sources", asking=Asking(variables={"PIPFAST_LINK_MODE": "own-sources"}), given=True),
    Row("a target", asking=Asking(("--target", "{env}/target", "top")), never=True),
    Row("a prefix", asking=Asking(("--prefix", "{root}/prefix", "top")), never=True),
    Row("a prefix in it", asking=Asking(("--prefix", "{env}/prefix", "top", "scripted")), never=True),
    Row("a root", asking=Asking(("--root", "{root}/root", "top")), never=True),
    Row("a root in it", asking=Asking(("--root", "{env}/root", "top", "scripted")), never=True),
    Row("an upgrade that removes", asking=UPGRADING, before=by_pip("install", "top==0.9"), never=True),
)

STORE = (
    Row("a tree that is gone", of_store("trees-v*/*/*", "removed"), spoils=True),
    Row("a file that is gone", of_store(f"{TREES}/bottom.py", "removed"), spoils=True),
    Row("a file that is cut", of_store(f"{TREES}/bottom_native.so", "cut"), spoils=True),
    Row("a file that is another", of_store(f"{TREES}/scripted.py", "torn"), spoils=True),
    Row("a file's mode", of_store(f"{TREES}/scripted.py", "600"), spoils=True),
    Row("a file that is a link", of_store(f"{TREES}/scripted.py", "linked"), spoils=True),
    Row("a manifest that is cut", of_store(MANIFESTS, "cut"), spoils=True),
    Row("a manifest that is torn", of_store(MANIFESTS, "torn"), spoils=True),
    Row("bytecode that is gone", of_store(CODE, "removed"), spoils=True),
    Row("archives that are gone", of_store("archives-v*/*/*", "removed"), given=True, spoils=True),
    Row("pruned", store("prune", "--max-size", "0"), spoils=True, fetches=True),
    Row("purged", store("purge"), spoils=True, fetches=True),
    Row("an answer that is torn", of_store("memo-v*/*/*", "torn")),
    Row("an answer that is cut", of_store("memo-v*/*/*", "cut")),
    Row("an answer that others can write", of_store("memo-v*/*/*", "664")),
    Row("answers' folder that others can write", of_store("memo-v*", "777"), spoils=True, fetches=True),
    Row("a store that others can write", lambda w, env: w.store.chmod(0o777), spoils=True, fetches=True),
    *((Row("an answer of another owner", of_another),) if IS_ROOT else ()),
)

ROWS = (*PACKAGES, *PIP_ITSELF, *ENVIRONMENT, *IN_THE_WAY, *AROUND, *STORE)

SAMPLE = random.Random(os.environ.get("PIPFAST_PARITY_SAMPLE", "")).sample(ROWS, 3)
"""Those that are tried each time."""


def _identifier(row: Row) -> str:
    return row.name.replace(" ", "-")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    # A short path: an interpreter's of more than 127 bytes changes the scripts.
    root = tmp_path_factory.mktemp("w").resolve()
    with serving() as server:
        yield World(root, server)


def ready(world: World, asking: Asking = PLAIN, before: Before = nothing) -> None:
    """Have it kept, and see it given; another test may touch pipfast's own files just then, which are compared."""
    for _ in range(5):
        if world.answers() and MARK in world.install(world.fresh("e5", before), asking).out:
            return
        assert world.teach(asking, before), "it is not kept"
    raise AssertionError("it is not given")


def owners(env: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(env)): (path.lstat().st_uid, path.lstat().st_gid) for path in env.rglob("*")
    }


def without_pips_bytecode(tree: Tree) -> Tree:
    """Leave out what differs with the modules that are imported."""
    return {path: entry for path, entry in tree.items()
            if not ("site-packages/pip/" in path and "__pycache__" in path)}


@pytest.mark.parametrize("row", [
    pytest.param(each, marks=[] if each in SAMPLE else [pytest.mark.slow], id=_identifier(each)) for each in ROWS
])
def test_one_change(world: World, row: Row) -> None:
    """After it, pip decides, unless nothing reads what has changed; what is said and left is stock pip's."""
    world.put_back()
    if row.never:
        world.teach(row.asking, row.before)
    else:
        ready(world, row.asking, row.before)
    then = replace(row.asking, **{**row.then, "variables": {
        **row.asking.variables, **row.then.get("variables", {})}})
    try:
        compare(world, then, both(row.before, row.change), given=row.given, fetches=row.fetches)
    finally:
        if row.spoils:
            world.forget()


def compare(
    world: World, asking: Asking, change: Before, *, given: bool, prefix: Path | None = None, fetches: bool = False
) -> None:
    """Install after a change with pipfast, and with stock pip, into environments of one path."""
    env = world.fresh("e9", change, prefix=prefix)
    ours, left_by_ours, owned = world.install(env, asking), picture(env), owners(env)
    world.put_back()
    before, world.home = world.home, world.root / "hume"
    try:
        env = world.fresh("e9", change, prefix=prefix)
    finally:
        world.home = before
    stock, left_by_stock = world.install_by_pip(env, asking), picture(env)
    assert (MARK in ours.out) == given, ours
    said, said_by_pip = plain(ours), plain(stock)
    if fetches:
        said, said_by_pip = (
            replace(each, out=FETCHED.sub("Using cached ", each.out)) for each in (said, said_by_pip))
    assert said == said_by_pip
    assert compare_trees(without_pips_bytecode(left_by_stock), without_pips_bytecode(left_by_ours)) == []
    owned_by_pips = owners(env)
    assert {path: owned[path] for path in owned_by_pips.keys() & owned.keys()} == {
        path: owned_by_pips[path] for path in owned_by_pips.keys() & owned.keys()}
    assert stale_bytecode(left_by_ours) == {} and shared_files(left_by_ours) == []


def test_placed_as_pip_installs_it(world: World) -> None:
    """Files, modes, RECORD; then inspect, check and uninstall; and once more in the same place."""
    world.put_back()
    ready(world)
    for _ in range(2):
        compare(world, PLAIN, nothing, given=True)
    looks = []
    for install in (world.install, world.install_by_pip):
        env = world.fresh("e9")
        assert install(env).status == 0
        told = json.loads(world.run("pip", env, "inspect").out)
        checked = world.run("pip", env, "check")
        ran = [subprocess.run([env / "bin" / name], capture_output=True, check=False).stdout
               for name in ("top-run", "own", "plain", "made")]
        gone = world.run("pip", env, "uninstall", "-y", "top", "scripted", "bottom", "shared-one", "shared-two")
        assert gone.status == 0 and checked.status == 0
        looks.append((told, plain(checked), ran, plain(gone), sorted(picture(env))))
    assert looks[0] == looks[1]


def test_wheels_with_one_file(world: World) -> None:
    """A script that replaces another wheel's file leaves the store's as it was."""
    world.put_back()
    asking = Asking(("maker",))
    ready(world, asking)
    for _ in range(2):
        compare(world, asking, nothing, given=True)
    assert world.run("pipfast", world.fresh("e9"), "store", "verify").out.endswith("none damaged\n")


def test_wheels_with_one_file_among_thousands(world: World) -> None:
    """Two processes may place them, and pip's order counts all the same."""
    world.put_back()
    world.index.add(
        Wheel("wide", files={f"wide/{number}.txt": "" for number in range(LEAST_FILES)}).build(),
        Wheel("first", data={"data/bin/it": "held\n"}).build(),
        Wheel("second", requires=["first"], console={"it": "second:main"}, files={
            f"{number}.txt": "" for number in range(9)}).build(),
    )
    asking = Asking(("second", "wide"))
    ready(world, asking)
    assert b"second" in (world.root / "e5" / "bin" / "it").read_bytes()


def limits_beside(limit: str, place: str) -> Before:
    """Write constraints to a path that has the environment's in it."""
    return lambda world, env: write(place, "bottom<9\n" if env.name != "e9" else limit)(world, env)


@pytest.mark.parametrize("place", ["{root}/beside{env}/limits.txt", "{env}0/limits.txt", "{env}é/limits.txt"])
def test_path_that_has_the_environments_in_it(world: World, place: str) -> None:
    """It is another file in each: what was read of one says nothing of the next."""
    world.put_back()
    asking = Asking(("-c", place, "top"))
    world.teach(asking, limits_beside("", place))
    compare(world, asking, limits_beside("bottom<0\n", place), given=False, fetches=True)


def test_prefix_through_a_link(world: World) -> None:
    """Nothing is placed below a path that is not the folder's own."""
    world.put_back()
    ready(world)
    (world.root / "real").mkdir()
    (world.root / "ln").symlink_to("real")
    compare(world, PLAIN, nothing, given=False, prefix=world.root / "ln" / "e9")


@pytest.mark.parametrize("name", ["with space", "x" * 150, "it's", 'quo"te', "back\\slash", "ünï", "a\nb"])
def test_odd_path_of_an_environment(world: World, name: str) -> None:
    """Scripts begin as pip has them begin, whoever writes them."""
    world.put_back()
    ready(world)
    env = world.root / name
    ours = world.fresh("", prefix=env)
    given = MARK in world.install(ours).out
    shutil.rmtree(env)
    compare(world, PLAIN, nothing, given=given, prefix=env)


def test_store_on_another_filesystem(world: World) -> None:
    """pip places, as it has to copy."""
    here = world.root.stat().st_dev
    other = next((path for path in map(Path, ("/dev/shm", "/var/tmp"))
                  if os.access(path, os.W_OK) and path.stat().st_dev != here), None)
    if other is None:
        pytest.skip("there is one filesystem")
    world.put_back()
    ready(world)
    with TemporaryDirectory(dir=other) as folder:
        compare(world, PLAIN, nothing, given=False, prefix=Path(folder) / "e9")


def test_proof(world: World) -> None:
    """pip decides, and the command fails where what was kept is another answer."""
    world.put_back()
    asking = Asking(variables={"PIPFAST_MEMO": "verify"})
    world.teach(asking)
    ended = world.install(world.fresh("e5"), asking)
    assert ended.status == 1 and "differs from the one that was kept" in ended.err
    assert world.install(world.fresh("e5"), asking).status == 0
    assert world.install(world.fresh("e5"), asking) == world.install(world.fresh("e6"), asking)


def test_environment_without_pip(world: World) -> None:
    """A pipfast outside places into it what it has placed into another."""
    world.put_back()
    outer = world.fresh("outer")
    script = outer / "bin" / "pipfast"
    script.write_text(f"#!{outer}/bin/python\nfrom pipfast.__main__ import main\nmain()\n", encoding="utf-8")
    script.chmod(0o755)

    def install(env: Path, what: str) -> str:
        shutil.rmtree(env, ignore_errors=True)
        venv.EnvBuilder(symlinks=True).create(env)
        time.sleep(SETTLED_S)
        words = world.installing(env, PLAIN)
        by_pip = [outer / "bin" / "python", "-m", "pip", "--python", env]
        command = [*([script] if what == "pipfast" else by_pip), *words]
        ended = subprocess.run(command, env=world.environ(env, PLAIN), cwd=world.work, capture_output=True,
                               encoding="utf-8", check=False, stdin=subprocess.DEVNULL)
        assert ended.returncode == 0, ended
        return ended.stdout

    known = set(world.new_answers())
    for number in range(LEARNING):
        install(world.root / f"b{number}", "pipfast")
        if set(world.new_answers()) - known:
            break
    for path in world.new_answers():
        world.mark(path)
    assert MARK in install(world.root / "b9", "pipfast")
    ours = picture(world.root / "b9")
    install(world.root / "b9", "pip")
    assert compare_trees(picture(world.root / "b9"), ours) == []


def test_pages_that_age(tmp_path: Path) -> None:
    """When the first is no longer fresh, pip asks for it."""
    with serving() as server:
        world = World(tmp_path.resolve() / "w", server, Manners(cache_control="max-age=5"))
        assert world.teach()
        (path,) = world.answers()
        entry = read(str(world.store), path.name)
        assert entry is not None and entry.until > time.time_ns() - 10**10
        world.index.add(Wheel("bottom", "2.0").build())
        # Until then the first of them is fresh; any other one was fetched within its time.
        time.sleep(max(0.0, entry.until / 1e9 - time.time()) + 6)
        assert "bottom-2.0" in world.install(world.fresh("e9")).out


KILLED = """
import os, signal, sys
if sys.path and sys.path[0] in ("", os.getcwd()):
    sys.path.pop(0)
import pipfast
sys.argv[0] = os.path.join(os.path.dirname(pipfast.__file__), "__main__.py")
before = os.open
def killed(path, flags, *more, **others):
    if flags & os.O_CREAT and str(path).rpartition("/")[2].startswith("{name}"):
        os.kill(os.getpid(), signal.SIGKILL)
    return before(path, flags, *more, **others)
os.open = killed
from pipfast.memo.answer import answered
sys.exit(answered(sys.argv[1:], lambda recording: 77))
"""


@pytest.mark.parametrize("name", ["INSTALLER.", "RECORD."])
def test_killed_while_it_is_placed(world: World, name: str) -> None:
    """Nothing is a package that is not whole: the next run installs all that is missing."""
    world.put_back()
    ready(world)
    env = world.fresh("e9")
    command = [f"{env}/bin/python", "-c", KILLED.replace("{name}", name), *world.installing(env, PLAIN)]
    ended = subprocess.run(
        command, env=world.environ(env, PLAIN), cwd=world.work, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended
    whole = {path.parent.name for path in site_of(env).glob("*.dist-info/RECORD")}
    assert {path.name for path in site_of(env).glob("*.dist-info")} == whole
    assert world.install_by_pip(env).status == 0
    assert world.run("pip", env, "check").status == 0
    assert {"top-1.0.dist-info", "bottom-1.0.dist-info"} <= {
        path.parent.name for path in site_of(env).glob("*.dist-info/RECORD")}
