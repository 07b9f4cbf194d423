"""Choices and downloads from indexes of every manner."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from support.index import Breakage, Manners
from support.pips import IN_ORDER
from support.twin import pip
from support.wheels import Wheel, sdist, wheel

if TYPE_CHECKING:
    from support.twin import Twins
    from support.wheels import Archive

MANNERS = {
    "html": Manners(pages="html"),
    "json": Manners(pages="json"),
    "no-core-metadata": Manners(core_metadata=False),
    "no-core-metadata-no-ranges": Manners(core_metadata=False, ranges=False),
    "no-ranges": Manners(ranges=False),
    "no-hashes": Manners(hashes=False),
    "no-validators": Manners(validators=False),
    "no-cache-control": Manners(cache_control=None),
    "no-store": Manners(cache_control="no-store", validators=False),
    "plain-html-server": Manners(
        pages="html", core_metadata=False, hashes=False, ranges=False, validators=False, cache_control=None
    ),
}


def big(name: str, version: str = "1.0", *requires: str, size: int = 1_500_000) -> Archive:
    """Return a wheel large enough to be worth a progress bar."""
    noise = random.Random(name).randbytes(size)
    return Wheel(name, version, requires, files={f"{name}/__init__.py": "", f"{name}/noise.bin": noise}).build()


@pytest.mark.parametrize("manners", MANNERS.values(), ids=MANNERS)
def test_manners_of_an_index(twins: Twins, manners: Manners) -> None:
    """Page format, core metadata, ranges, hashes and cache headers change nothing of what comes out."""
    index = twins.server.index(manners=manners)
    index.add(wheel("demo", "1.0"), wheel("demo", "2.0", "leaf>=1"), sdist("demo", "2.0"))
    index.add(wheel("leaf", "0.9"), wheel("leaf", "1.5"))
    twins.agree(
        pip("install", *index.args, "demo"),
        pip("install", *index.args, "--upgrade", "--force-reinstall", "demo"),
        installed={"demo": "2.0", "leaf": "1.5"},
    )


def test_the_best_of_two_indexes(twins: Twins) -> None:
    """The best version of the union of the indexes wins, and an exact pin is found wherever it is.

    The shape is that of ``pip install tensorrt-llm~=0.12 --pre --extra-index-url B``. B holds the application
    and a torch that is too old; A holds the torch that fits and its exact pins. With the first-index rule, torch
    would be looked for on B only, because B has the name: there is no torch>=2.4 there and the resolution fails.
    The same with the rule the other way round: ``pinned`` is on both, and A has not the version that the
    application pins.
    """
    b = twins.server.index("b").add(
        wheel("application", "0.11.0"),
        wheel("application", "0.12.0.dev1", "torch>=2.4.0a0,<=2.5.0", "pinned==1.0"),
        wheel("torch", "2.3.1"),
        wheel("pinned", "1.0"),
    )
    a = twins.server.index("a").add(
        wheel("torch", "2.4.0", "cuda-runtime==12.1.105"),
        wheel("torch", "2.5.1"),
        wheel("cuda-runtime", "12.1.105"),
        wheel("cuda-runtime", "12.4.127"),
        wheel("pinned", "2.0"),
    )
    twins.agree(
        pip("install", *a.args, "--extra-index-url", b.url, "--pre", "application~=0.12.0.dev0"),
        installed={"application": "0.12.0.dev1", "torch": "2.4.0", "cuda-runtime": "12.1.105", "pinned": "1.0"},
        environ=IN_ORDER,
    )


def test_the_same_version_on_two_indexes(twins: Twins) -> None:
    """Of two files with the same name on two indexes, pip's own choice is taken."""
    first = Wheel("demo", files={"demo.py": "origin = 'a'"}).build()
    second = Wheel("demo", files={"demo.py": "origin = 'b'"}).build()
    a, b = twins.server.index("a").add(first), twins.server.index("b").add(second)
    twins.agree(pip("install", *a.args, "--extra-index-url", b.url, "demo"), installed={"demo": "1.0"})


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_one_index_refuses_a_name(twins: Twins, status: int) -> None:
    """An index that refuses the page of one name does not keep another from serving it."""
    a = twins.server.index("a").add(wheel("demo", "1.0", "leaf"))
    b = twins.server.index("b").add(wheel("demo", "2.0", "leaf"), wheel("leaf"))
    twins.server.override("a/simple/demo/", status)
    twins.server.override("a/simple/leaf/", status)
    twins.agree(
        pip("install", *a.args, "--extra-index-url", b.url, "demo"), installed={"demo": "2.0", "leaf": "1.0"}
    )


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_the_only_index_refuses(twins: Twins, status: int) -> None:
    """What pip says of a name that cannot be looked up is said word for word."""
    index = twins.server.index()
    twins.server.override("a/simple/demo/", status)
    twins.agree(pip("install", *index.args, "--retries", "0", "demo", fails=True))


def test_page_that_cannot_be_decoded(twins: Twins) -> None:
    """pip's own error, and nothing before it that was caught by us."""
    index = twins.server.index()
    twins.server.file("a/simple/demo/", b'<!DOCTYPE html><a href="demo-1.0.tar.gz">\xff</a>')
    twins.agree(
        pip("install", *index.args, "demo", fails=True),
        says=("UnicodeDecodeError",), more_requests=True, warm=False,
    )


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_is_not_there(twins: Twins, status: int) -> None:
    """An index that lists a file it does not have is pip's error, and nothing is installed."""
    index = twins.server.index(manners=Manners(core_metadata=False)).add(wheel("demo"), wheel("other"))
    twins.server.override("a/files/demo-1.0-py3-none-any.whl", status)
    twins.agree(pip("install", *index.args, "other", "demo", fails=True))


@pytest.mark.parametrize("status", [403, 404])
def test_a_file_that_is_not_there_though_its_metadata_is(twins: Twins, status: int) -> None:
    """The same where the resolution succeeds from core metadata alone."""
    index = twins.server.index().add(wheel("demo"), wheel("other"), wheel("third"))
    twins.server.override("a/files/demo-1.0-py3-none-any.whl", status)
    twins.agree(pip("install", *index.args, "other", "demo", "third", fails=True))


def test_core_metadata_that_is_not_there(twins: Twins) -> None:
    """A promised metadata file that is 404 is what it is to pip."""
    index = twins.server.index().add(wheel("demo", "1.0", "leaf"), wheel("leaf"))
    twins.server.override("a/files/demo-1.0-py3-none-any.whl.metadata", 404)
    twins.agree(pip("install", *index.args, "demo", fails=None))


@pytest.mark.parametrize("requires", [
    ["leaf<2"], ["leaf", "leaf>1; extra == 'more'"], [], ["leaf", "leaf; extra == 'odd name!'"], ["LEAF"],
    ["leaf >>1"],
], ids=str)
def test_core_metadata_that_differs_from_the_wheel(twins: Twins, requires: list[str]) -> None:
    """Requirements in the metadata file that the wheel does not have are treated as by pip."""
    index = twins.server.index().add(wheel("leaf"), wheel("leaf", "2.0"))
    index.add(wheel("demo", "1.0", "leaf"), metadata=wheel("demo", "1.0", *requires).metadata)
    twins.agree(pip("install", *index.args, "demo", fails=None))


@pytest.mark.parametrize("status", [503, 429])
def test_a_busy_server(twins: Twins, status: int) -> None:
    """A server that is busy once is asked again, as often as --retries says."""
    index = twins.server.index().add(wheel("demo", "1.0", "leaf"), wheel("leaf"))
    for path in ("a/simple/demo/", "a/files/leaf-1.0-py3-none-any.whl"):
        twins.server.override(path, status, headers={"Retry-After": "0"}, times=1)
    twins.agree(
        pip("install", *index.args, "--retries", "1", "demo", fails=None), more_requests=True, rescued=True
    )


@pytest.mark.parametrize("breakage", Breakage, ids=lambda breakage: breakage.name.lower())
@pytest.mark.parametrize("times", [1, 99])
def test_a_download_breaks_off(twins: Twins, breakage: Breakage, times: int) -> None:
    """A body that ends before its end: what pip resumes is installed; what it gives up on may go on with us."""
    index = twins.server.index().add(wheel("first"), big("demo"))
    twins.server.break_off("a/files/demo-1.0-py3-none-any.whl", breakage, times=times)
    twins.agree(
        pip("install", *index.args, "--retries", "1", "first", "demo", fails=None),
        more_requests=True,
        warm=False,
        rescued=True,
    )


def test_basic_auth_in_the_url(twins: Twins) -> None:
    """Credentials in the index URL open it, and are shown by neither."""
    index = twins.server.index(manners=Manners(credentials=("me", "sesame"))).add(wheel("demo", "1.0", "leaf"))
    index.add(big("leaf"))
    twins.agree(
        pip("install", "--index-url", index.authenticated("me", "sesame"), "demo"), installed={"demo": "1.0"}
    )


def test_basic_auth_by_netrc(twins: Twins) -> None:
    """Credentials in ~/.netrc open an index, pages and files alike."""
    index = twins.server.index(manners=Manners(credentials=("me", "sesame"), core_metadata=False))
    index.add(wheel("demo", "1.0", "leaf"), big("leaf"))
    twins.write({".netrc": "machine 127.0.0.1 login me password sesame\n"}, under="home")
    (twins.inputs / "home/.netrc").chmod(0o600)
    twins.agree(pip("install", *index.args, "demo"), installed={"demo": "1.0"})


def test_wrong_credentials(twins: Twins) -> None:
    """A wrong password is refused, and shown by neither."""
    index = twins.server.index(manners=Manners(credentials=("me", "sesame"))).add(wheel("demo"))
    twins.agree(pip("install", "--index-url", index.authenticated("me", "wrong"), "demo", fails=True))


def test_through_a_proxy_from_a_trusted_host(twins: Twins) -> None:
    """--proxy and --trusted-host lead to an index that no name server knows."""
    index = twins.server.index().add(wheel("demo", "1.0", "leaf"), wheel("leaf"))
    url = index.url.replace(twins.server.url, "http://index.invalid")
    options = ("--index-url", url, "--proxy", twins.server.url)
    twins.agree(
        pip("install", *options, "demo", "--retries", "0", fails=True),
        pip("install", *options, "--trusted-host", "index.invalid", "demo"),
        installed={"demo": "1.0", "leaf": "1.0"},
    )


@pytest.mark.parametrize("core_metadata", [True, False], ids=["metadata-first", "archive-first"])
def test_a_wrong_digest_on_the_page(twins: Twins, core_metadata: bool) -> None:
    """One file among several that is not what the page promises stops the run with pip's error.

    pip asks for it once more, alone.
    """
    index = twins.server.index(manners=Manners(core_metadata=core_metadata))
    index.add(wheel("first"), wheel("third"), big("second")).add(wheel("demo"), sha256="0" * 64)
    twins.agree(
        pip("install", *index.args, "first", "demo", "second", "third", fails=True),
        says=("THESE PACKAGES DO NOT",),
        more_requests=True,
    )


def test_large_wheels_and_the_order_of_lines(twins: Twins) -> None:
    """Wheels that arrive at once, the first of them last, are reported in pip's order.

    They are named one by one: pip 23.0 on Python 3.10 takes dependencies in the order of a set of objects.
    """
    names = ["alpha", "beta", "gamma", "delta"]
    index = twins.server.index().add(*map(big, names), wheel("small"))
    twins.server.delay("a/files/alpha-1.0-py3-none-any.whl", 0.2)
    twins.agree(pip("install", *index.args, *names, "small"), inspect=True)


@pytest.mark.parametrize("bar", ["off", "raw", "on"])
def test_progress_bars(twins: Twins, bar: str) -> None:
    """Every kind of progress that pip prints to a file is printed."""
    index = twins.server.index().add(big("demo", "1.0", "leaf"), big("leaf", size=2_500_000))
    twins.agree(pip("install", *index.args, "--progress-bar", bar, "demo", fails=None))


def test_a_file_uploaded_again_behind_the_same_link(twins: Twins) -> None:
    """--find-links to a file that has changed gives the new one, though name, version and address are the same."""
    old, new = (Wheel("demo", files={"demo.py": f"build = {build!r}"}).build() for build in ("old", "new"))
    path = f"links/{old.filename}"
    links = twins.server.file("links/", f'<a href="{old.filename}">{old.filename}</a>')
    twins.server.file(path, old.data)
    twins.agree(
        pip("install", "--no-index", "--find-links", links, "demo"),
        between=lambda _: twins.server.file(path, new.data),
        installed={"demo": "1.0"},
    )


def test_a_local_file_uploaded_again(twins: Twins) -> None:
    """The same with a folder of files."""
    old, new = (Wheel("demo", files={"demo.py": f"build = {build!r}"}).build() for build in ("old", "new"))
    twins.write({f"wheels/{old.filename}": old.data})
    twins.agree(
        pip("install", "--no-index", "--find-links", "wheels", "demo"),
        between=lambda _: twins.write({f"wheels/{old.filename}": new.data}),
    )


def test_find_links_beside_an_index(twins: Twins) -> None:
    """A folder of wheels and an index are one pool of candidates."""
    index = twins.server.index().add(wheel("demo", "1.0", "leaf"), wheel("leaf", "1.0"))
    newer = wheel("leaf", "2.0")
    twins.write({f"wheels/{newer.filename}": newer.data, "wheels/notes.txt": "not a distribution"})
    twins.agree(
        pip("install", *index.args, "--find-links", "wheels", "demo"), installed={"demo": "1.0", "leaf": "2.0"}
    )


def test_no_index_finds_nothing(twins: Twins) -> None:
    """--no-index asks nobody, whatever the index holds."""
    index = twins.server.index().add(wheel("demo"))
    twins.agree(pip("install", *index.args, "--no-index", "demo", fails=True))
    assert not twins.server.requests()


def test_redirected_files(twins: Twins) -> None:
    """A file behind a redirect to another address is installed under its own name."""
    archive = wheel("demo")
    index = twins.server.index().add(archive)
    elsewhere = twins.server.file("elsewhere/blob", archive.data)
    twins.server.override(f"a/files/{archive.filename}", 302, headers={"Location": elsewhere})
    twins.agree(pip("install", *index.args, "demo"), installed={"demo": "1.0"})


def test_hosts_that_are_not_there(twins: Twins) -> None:
    """A port where nobody listens is pip's error."""
    twins.agree(pip("install", "--index-url", "http://127.0.0.1:9/simple/", "--retries", "0", "demo", fails=True))
