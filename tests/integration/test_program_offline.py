"""Commands without a network, from the store alone, from pip's cache, or with what is missing asked for."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from pipfast.index import kept
from pipfast.store.layout import Layout
from pipfast.store.names import ANSWERS
from pipfast.store.notes import keep_note
from support.index import Manners, serving
from support.program import add_shim
from support.sources import archive
from support.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Index, Server
    from support.program import Box, Ended

pytestmark = pytest.mark.many

_GUARD = '''
import os, sys

def _hook(event, arguments, families=(2, 10)):
    if event in ("socket.getaddrinfo", "socket.sendto") or (
        event == "socket.connect" and arguments[0].family in families
    ):
        with open(os.environ["CONNECTIONS"], "a", encoding="utf-8") as file:
            file.write(f"{event} {arguments[1:]} {sys.argv}\\\\n")

if "CONNECTIONS" in os.environ:
    sys.addaudithook(_hook)
'''.replace("\\\\n", "\\n")
"""Notes, in each process of a command, every attempt to reach anybody."""

WHEELS = (wheel("app", "1.0", "lib>=1"), wheel("lib", "1.0"), wheel("lib", "1.5"))
NEWER = wheel("lib", "2.0")


class World:
    """An index that can be taken away, and an environment whose connections are noted."""

    def __init__(self, box: Box, index: Index, server: Server) -> None:
        self.box, self.index, self.server = box, index, server
        self.noted = box.root / "connections"
        add_shim(box, _GUARD)

    def lose_cache(self) -> None:
        """Empty pip's cache."""
        shutil.rmtree(self.box.root / "home" / ".cache", ignore_errors=True)

    def online(self, *arguments: str, **variables: str) -> Ended:
        ended = self.box.pipfast(*arguments, **variables)
        assert ended.status == 0, ended.err
        return ended

    def only(self, *arguments: str, **variables: str) -> Ended:
        """Run a command that may ask nobody, and see that it does not try."""
        self.server.rewind()
        variables = {"PIPFAST_OFFLINE": "only", "CONNECTIONS": str(self.noted), **variables}
        ended = self.box.pipfast(*arguments, **variables)
        assert not self.noted.exists(), self.noted.read_text()
        assert self.server.requests() == []
        return ended

    def prefer(self, *arguments: str, **variables: str) -> tuple[Ended, list[str]]:
        """Run a command that asks for what is missing; return the paths that it asked for, too."""
        self.server.rewind()
        ended = self.box.pipfast(*arguments, PIPFAST_OFFLINE="prefer", **variables)
        return ended, [request.path for request in self.server.requests()]

    def target(self, name: str) -> list[str]:
        return sorted(path.name for path in (self.box.work / name).iterdir())


@pytest.fixture
def manners() -> Manners:
    return Manners()


@pytest.fixture
def world(box: Box, manners: Manners) -> Iterator[World]:
    with serving() as server:
        yield World(box, server.index(manners=manners).add(*WHEELS), server)


def age_answers(box: Box, days: float) -> None:
    """Have all pages been got that long ago."""
    layout = Layout(box.store)
    for path in (box.store / ANSWERS).glob("*/*"):
        answer = kept.find_answer(layout, path.name) if path.stat().st_size < 2000 else None
        if answer is not None:
            row = [answer.status, answer.url, answer.content_type, answer.digest.hex(),
                   answer.asked - days * 86_400]
            keep_note(layout, ANSWERS, path.name, row)


@pytest.mark.parametrize("manners", [
    Manners(cache_control="no-cache"), Manners(pages="html", core_metadata=False), Manners(hashes=False),
    Manners(validators=False, compressed=False, lengths=False),
], ids=["usual", "html", "no-hashes", "poor"])
def test_only_the_store(world: World) -> None:
    """A cache of pip's that was emptied is not missed, nor the server."""
    args = ("install", *world.index.args, "app")
    first = world.online(*args, "--target", "online")
    world.lose_cache()
    ended = world.only(*args, "--target", "offline")
    assert (ended.status, ended.err) == (0, "")
    assert world.target("online") == world.target("offline")
    for word in ("Collecting", "Installing", "Successfully"):
        assert [each for each in ended.out.splitlines() if word in each] == [
            each for each in first.out.splitlines() if word in each]


@pytest.mark.once
def test_only_pip_s_cache(world: World) -> None:
    """What stock pip has fetched is used, whatever its age."""
    args = ("install", *world.index.args, "--trusted-host", "127.0.0.1", "app")
    assert world.box.pip(*args, "--target", "online").status == 0
    shutil.rmtree(world.box.store, ignore_errors=True)
    ended = world.only(*args, "--target", "offline")
    assert (ended.status, ended.err) == (0, "")
    assert world.target("online") == world.target("offline")


@pytest.mark.parametrize("options", [(), ("-v",), ("--require-hashes",), ("--use-deprecated=legacy-resolver",)])
def test_a_newer_version_that_is_not_kept_is_passed_over(world: World, options: tuple[str, ...]) -> None:
    """Its page came without it, as pages do that are fetched for another command."""
    app, _, lib = WHEELS
    (world.box.work / "r.txt").write_text(
        f"app==1.0 --hash=sha256:{app.sha256}\nlib==1.5 --hash=sha256:{lib.sha256}\n")
    world.online("install", *world.index.args, "--target", "online", "app")
    world.index.add(NEWER)
    world.online("index", "versions", *world.index.args, "lib", PIPFAST_OFFLINE="prefer")
    # Its page is asked for by a command that installs something else.
    world.box.pipfast("download", *world.index.args, "--no-deps", "lib>2")
    wanted = ["-r", "r.txt"] if "--require-hashes" in options else ["app"]
    ended = world.only("install", *options, *world.index.args, "--target", "offline", *wanted)
    assert ended.status == 0, ended.err
    assert "lib-1.5.dist-info" in world.target("offline")
    passed = "pipfast: older versions were taken, for newer ones are not kept: lib 2.0\n"
    assert (passed in ended.err) is ("--require-hashes" not in options)


@pytest.mark.once
def test_what_is_missing_is_named(world: World) -> None:
    """As pip names what it cannot find, with its exit code; and what would bring it."""
    world.online("download", *world.index.args, "app")
    world.index.add(NEWER)
    world.box.pipfast("download", *world.index.args, "--no-deps", "lib>2")
    stock = world.box.pip("install", "--index-url", "http://127.0.0.1:1/simple/", "--retries", "0", "six>1")
    ended = world.only("install", *world.index.args, "six>1")
    assert ended.status == stock.status == 1
    wrong = [line for line in ended.err.splitlines() if line.startswith("ERROR:")]
    assert wrong == [line for line in stock.err.splitlines() if line.startswith("ERROR:")]
    assert f"PIPFAST_OFFLINE=only): six ({world.index.url}six/)\n" in ended.err
    options = "with the options that this command has for indexes and Pythons"
    brings = f"`PIPFAST_OFFLINE=off pipfast download 'six>1'`, {options}, brings it into the store"
    assert ended.err.count(brings) == 1
    pinned = world.only("install", *world.index.args, "lib==2.0")
    assert pinned.status == 1 and "from versions: 1.0, 1.5, 2.0" in pinned.err
    assert "PIPFAST_OFFLINE=only): lib 2.0\n" in pinned.err and "download lib==2.0`" in pinned.err
    for address in (f"{world.server.url}/x-1.0-py3-none-any.whl", f"{world.server.url}/r.txt"):
        ended = world.only("install", *(["-r"] if address.endswith("txt") else []), address)
        assert ended.status == 1 and f"ERROR: {address} is not kept, and nobody is asked for it" in ended.err
        assert "the same command with PIPFAST_OFFLINE=off brings it" in ended.err
    nothing = world.only("install", *world.index.args, "--no-cache-dir", "app")
    assert nothing.status == 1 and "hint: with --no-cache-dir, or where there is no store, nothing is kept" in (
        nothing.err)


@pytest.mark.once
@pytest.mark.parametrize(("wanted", "named", "quoted"), [
    ("lib==99", "lib==99", "lib==99"), ("Lib>=99,!=100", "lib!=100,>=99", "'lib!=100,>=99'"),
    ("needing", "lib>=9", "'lib>=9'"), ("nothing", "nothing", "nothing"),
])
def test_what_a_kept_page_lacks_is_named(world: World, wanted: str, named: str, quoted: str) -> None:
    """A version that came later, say; how old the page is, and what would bring it. pip's words stand."""
    world.index.add(wheel("needing", "1.0", "lib>=9"))
    world.online("download", *world.index.args, "app", "-d", "d")
    world.online("download", *world.index.args, "--no-deps", "needing", "-d", "d")
    world.box.pipfast("download", *world.index.args, "nothing")
    args = ("install", *world.index.args, wanted)
    stock = [line for line in world.box.pip(*args).err.splitlines() if line.startswith("ERROR:")]
    for more, age in (0, "less than a day"), (5.5, "5 days"):
        age_answers(world.box, more)
        world.lose_cache()
        ended = world.only(*args)
        assert ended.status == 1
        said = [line for line in ended.err.splitlines() if not line.startswith("ERROR:")]
        assert said == [
            "pipfast: nothing on kept pages fits, and nobody was asked (PIPFAST_OFFLINE=only): "
            f"{named} (its page is {age} old)",
            f"hint: where there is a network, `PIPFAST_OFFLINE=off pipfast download {quoted}`, with the options "
            "that this command has for indexes and Pythons, brings it into the store",
        ]
        assert [line for line in ended.err.splitlines() if line.startswith("ERROR:")] == stock
    ended, asked = world.prefer(*args)
    assert (ended.status, asked) == (1, [])
    assert f"nobody was asked for newer ones (PIPFAST_OFFLINE=prefer): {named} (its page is 5 days" in ended.err
    assert "hint: the same command with PIPFAST_OFFLINE=off asks for newer pages\n" in ended.err


@pytest.mark.once
def test_kept_pages_are_not_blamed_for_what_they_do_not_lack(world: World) -> None:
    """Requirements that contradict each other, a project that is not kept, local files, a way that was found."""
    world.index.add(wheel("app", "2.0", "lib>=9"))
    world.online("download", *world.index.args, "app", "-d", "d")
    world.online("download", *world.index.args, "--no-deps", "app==2.0", "-d", "d")
    world.lose_cache()
    local = ["--no-index", "--find-links", "d", "lib==99"]
    for wanted in (["lib<1.2", "lib>=1.2"], ["absent==1"], local, ["app"]):
        assert "on kept pages" not in world.only("install", *world.index.args, *wanted).err


@pytest.mark.once
def test_other_commands_ask_nobody_either(world: World) -> None:
    """With the setting in pip's own file, too."""
    world.online("install", *world.index.args, "lib==1.0")
    (world.box.root / "own.conf").write_text("[pipfast]\noffline = only\n", encoding="utf-8")
    for variables in ({}, {"PIPFAST_OFFLINE": "", "PIP_CONFIG_FILE": str(world.box.root / "own.conf")}):
        variables = {"PIP_DISABLE_PIP_VERSION_CHECK": "", **variables}
        listed = world.only("index", "versions", *world.index.args, "lib", **variables)
        said = [line for line in listed.err.splitlines() if "experimental" not in line]
        assert (listed.status, said) == (0, []) and "Available versions: 1.5, 1.0" in listed.out
        outdated = world.only("list", "--outdated", *world.index.args, **variables)
        assert outdated.status == 0 and "lib" in outdated.out and "1.5" in outdated.out
        assert world.only("search", "lib", **variables).status != 0
        assert world.only("list", **variables).status == 0
        assert world.only("install", *world.index.args, "lib", **variables).status == 0


@pytest.mark.once
def test_repositories_are_refused(world: World) -> None:
    """Before git is started; one in a folder of this machine is no network's."""
    tools = world.box.root / "tools"
    tools.mkdir()
    (tools / "git").write_text(
        f"#!/bin/sh\necho \"$@\" >> {world.box.root}/git\n[ \"$1\" = version ] && echo git version 2.39.2\n")
    (tools / "git").chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    for url in ("git+https://me:secret@127.0.0.1/x.git", "git+ssh://127.0.0.1/x.git#egg=x"):
        ended = world.only("install", url, PATH=path)
        assert ended.status == 1 and "127.0.0.1/x.git is not kept, and nobody is asked for it" in ended.err
        assert "secret" not in ended.err
    asked = (world.box.root / "git").read_text() if (world.box.root / "git").exists() else ""
    assert not any(word in asked for word in ("clone", "fetch", "ls-remote"))
    world.only("install", f"git+file://{world.box.work}/x.git", PATH=path)
    assert "clone" in (world.box.root / "git").read_text()


@pytest.mark.once
def test_build_requirements_come_from_the_store_too(world: World) -> None:
    """The pips that fill build environments ask nobody either; what they miss is in pip's error."""
    world.index.add(wheel("maker", "1.0"), archive("made", scripts={}, build_requires=["maker"]),
                    archive("other", scripts={}, build_requires=["absent"]))
    world.online("install", *world.index.args, "--target", "online", "made")
    world.online("download", *world.index.args, "--no-deps", "--no-build-isolation", "other")
    world.lose_cache()
    ended = world.only("install", *world.index.args, "--target", "offline", "made")
    assert (ended.status, ended.err) == (0, "") and world.target("online") == world.target("offline")
    ended = world.only("install", *world.index.args, "--target", "t", "other")
    assert ended.status == 1 and "No matching distribution found for absent" in ended.err + ended.out


@pytest.mark.once
def test_an_index_that_had_no_such_page_has_none(world: World) -> None:
    """And one that was never asked is named, while the others serve."""
    second = world.server.index("b")
    args = ("install", *world.index.args, "--extra-index-url", second.url)
    world.online(*args, "--target", "online", "app")
    ended = world.only(*args, "--target", "offline", "app")
    assert (ended.status, ended.err) == (0, "")
    ended = world.only(*args, "--extra-index-url", f"{world.server.url}/c/simple/", "--target", "t", "app")
    assert ended.status == 0 and f"app ({world.server.url}/c/simple/app/)" in ended.err


@pytest.mark.once
@pytest.mark.parametrize("manners", [Manners(credentials=("me", "secret-word"))], ids=["credentials"])
def test_credentials_are_kept_nowhere(world: World) -> None:
    """Nor do they belong to what is kept."""
    url = world.index.authenticated("me", "secret-word")
    world.online("install", "--index-url", url, "--target", "online", "app")
    for path in world.box.store.rglob("*"):
        assert not path.is_file() or b"secret-word" not in path.read_bytes(), path
    other = world.index.authenticated("me", "another")
    ended = world.only("install", "--index-url", other, "--target", "offline", "app")
    assert (ended.status, ended.err) == (0, "")
    ended = world.only("install", "--index-url", url, "--target", "t", "six")
    assert ended.status == 1 and "secret-word" not in ended.err


@pytest.mark.once
def test_prefer_asks_for_what_is_missing_alone(world: World) -> None:
    """And stays with what is kept, though there is more; a page older than a day is named."""
    args = ("install", *world.index.args, "--target")
    world.online(*args, "online", "app")
    world.index.add(NEWER, wheel("more", "1.0", "lib"))
    ended, asked = world.prefer(*args, "t", "app")
    assert (ended.status, ended.err, asked) == (0, "", [])
    ended, asked = world.prefer(*args, "t2", "more")
    assert (ended.status, ended.err) == (0, "") and "lib-1.5.dist-info" in world.target("t2")
    assert asked and all("/more" in path for path in asked)
    _, asked = world.prefer(*args, "t3", "more")
    assert asked == []
    age_answers(world.box, 3)
    for mode in ("prefer", "only"):
        old = world.box.pipfast(*args, f"t-{mode}", "app", PIPFAST_OFFLINE=mode)
        assert old.status == 0 and " 3 days ago, decided " in old.err and old.err.count("\n") == 1
        assert "lib-1.5.dist-info" in world.target(f"t-{mode}")
    world.online(*args, "t5", "app")
    assert "lib-2.0.dist-info" in world.target("t5")


@pytest.mark.once
@pytest.mark.parametrize("mode", ["prefer", "only"])
def test_local_files_need_no_index(world: World, mode: str) -> None:
    """Nor do pages that name them."""
    links = world.box.work / "links"
    links.mkdir()
    for each in WHEELS:
        (links / each.filename).write_bytes(each.data)
    ended = world.only("install", "--no-index", "--find-links", "links", "--target", "t", "app",
                       PIPFAST_OFFLINE=mode)
    assert (ended.status, ended.err) == (0, "") and "lib-1.5.dist-info" in world.target("t")
    page = links / "index.html"
    page.write_text("".join(f'<a href="{each.filename}">{each.filename}</a>' for each in WHEELS))
    ended = world.only("install", "--no-index", "--find-links", page.as_uri(), "--target", "t2", "app",
                       PIPFAST_OFFLINE=mode)
    assert (ended.status, ended.err) == (0, "") and "lib-1.5.dist-info" in world.target("t2")
    assert world.only("install", f"./links/{WHEELS[1].filename}", "--target", "t3", PIPFAST_OFFLINE=mode
                      ).status == 0


@pytest.mark.once
def test_yanked_and_pre_releases_are_as_ever(world: World) -> None:
    """As on the page that is kept."""
    world.index.add(wheel("lib", "1.7"), yanked="bad").add(wheel("lib", "3.0rc1"))
    for wanted in ("lib", "lib==1.7", "lib>=3.0rc1"):
        world.online("download", *world.index.args, wanted, "-d", "d")
    versions = {"lib": "1.5", "lib==1.7": "1.7", "lib>=3.0rc1": "3.0rc1"}
    for number, (wanted, version) in enumerate(versions.items()):
        ended = world.only("install", *world.index.args, "--target", f"t{number}", wanted)
        assert ended.status == 0 and f"lib-{version}.dist-info" in world.target(f"t{number}")
        assert ("yanked" in ended.err + ended.out) is (version == "1.7")


@pytest.mark.once
def test_where_our_seams_are_not_attached_nothing_connects(world: World) -> None:
    """A pip that is newer than any tested, or changed: it fails, at once."""
    shim = (world.box.site_packages / "shim.py").read_text()
    add_shim(world.box, shim + "\nimport pipfast_hooks.seams as seams\n"
             "seams.SEAMS = tuple(each for each in seams.SEAMS if each.name != 'PipSession.request')\n")
    world.online("install", *world.index.args, "--target", "t", "app")
    ended = world.only("install", *world.index.args, "--target", "t2", "app")
    assert ended.status == 1 and "ERROR: No matching distribution found for app" in ended.err
