"""Metadata files and distributions: this pip's results, for less work."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pip._internal.metadata import (
    FilesystemWheel,
    get_metadata_distribution,
    get_wheel_distribution,
    select_backend,
)
from pip._internal.models.link import Link
from pip._internal.network.session import PipSession
from pip._internal.utils.temp_dir import global_tempdir_manager

from pipfast_hooks.call import Call
from support.index import Manners, serving
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Index, Server
    from support.wheels import Archive

IMPORTLIB = sys.version_info >= (3, 11)
"""pip reads metadata with the standard library; before, with its own pkg_resources."""

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""Old pips on new Pythons."""

TEXTS = {
    "plain": "Metadata-Version: 2.1\nName: Demo.X\nVersion: 1.0\nRequires-Python: >=3.8\nRequires-Dist: a>1\n"
             "Requires-Dist: b[c]<2,>1; extra == 'x'\nProvides-Extra: x\nKeywords: q,r\n\nbody\n",
    "nothing": "Metadata-Version: 2.1\nName: Demo.X\nVersion: 1.0\n",
    "folded": "Metadata-Version: 2.1\nName: Demo.X\nVersion: 1.0\nRequires-Dist: a\n  ; extra == 'x'\n",
    "bad requirement": "Metadata-Version: 2.1\nName: Demo.X\nVersion: 1.0\nRequires-Dist: a>>1\n",
    "no name": "Metadata-Version: 2.1\nVersion: 1.0\n",
    "no version": "Metadata-Version: 2.1\nName: Demo.X\n",
    "windows": "Metadata-Version: 2.1\r\nName: Demo.X\r\nVersion: 1.0\r\nRequires-Dist: a\r\n\r\nbody\r\n",
    "not ascii": "Metadata-Version: 2.1\nName: Demo.X\nVersion: 1.0\nAuthor: M\u00fcller\n\nb\u00f6dy\n",
}

QUESTIONS = {
    "raw name": lambda each: each.raw_name,
    "canonical name": lambda each: each.canonical_name,
    "version": lambda each: each.version,
    "python": lambda each: each.requires_python,
    "extras": lambda each: list(each.iter_provided_extras()),
    "dependencies": lambda each: [str(one) for one in each.iter_dependencies()],
    "with an extra": lambda each: [str(one) for one in each.iter_dependencies(["x"])],
    "dictionary": lambda each: each.metadata_dict,
    "text": lambda each: str(each),
    "item": lambda each: each.metadata["Version"],
    "small item": lambda each: each.metadata["version"],
    "all": lambda each: each.metadata.get_all("Keywords"),
    "fields": lambda each: each.metadata.keys(),
    "is it there": lambda each: ("Name" in each.metadata, "Nome" in each.metadata, len(each.metadata)),
    "direct": lambda each: each.direct_url,
    "editable": lambda each: each.editable_project_location,
    "local": lambda each: (each.local, each.in_usersite, each.installed_with_dist_info, each.installed_as_egg),
    "file": lambda each: each.read_text("METADATA"),
    "no file": lambda each: each.is_file("RECORD"),
}


def asked(question: Any, distribution: Any) -> tuple[str, Any]:
    try:
        return "says", question(distribution)
    except Exception as error:
        return "raises", type(error)


@pytest.mark.skipif(not IMPORTLIB, reason="this Python's pip uses the other backend")
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_distribution_in_memory_says_what_one_in_a_folder_says(text: str) -> None:
    from pipfast_hooks.metadata.distribution import _around_from_metadata_file_contents

    backend = select_backend().Distribution
    for name, question in QUESTIONS.items():
        # Fresh ones for each question: none must depend on what was asked before.
        with global_tempdir_manager():
            content = text.encode()
            stock = get_metadata_distribution(content, "demo_x-1.0-py3-none-any.whl", "demo-x")
            wrapped: Any = vars(backend)["from_metadata_file_contents"].__get__(None, backend)
            ours = _around_from_metadata_file_contents(
                Call(wrapped, backend, (content, "x.whl", "demo-x"), {}, {"metadata_contents": 0})
            )
            assert asked(question, ours) == asked(question, stock), name


@pytest.mark.skipif(not IMPORTLIB, reason="this Python's pip uses the other backend")
@pytest.mark.parametrize("more", [
    {}, {"requires.txt": "old>1\n", "entry_points.txt": "[console_scripts]\na = b:c\n"},
], ids=["alone", "with others"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_wheel_whose_header_was_read_says_what_pips_says(
    text: str, more: dict[str, str], tmp_path: Path
) -> None:
    from pipfast_hooks.metadata.distribution import _around_from_wheel

    path = tmp_path / "demo_x-1.0-py3-none-any.whl"
    path.write_bytes(Wheel("demo_x", dist_info={"METADATA": text, **more}).build().data)
    further = {
        "entry points": lambda each: [str(one) for one in each.iter_entry_points()],
        "declared": lambda each: list(each.iter_declared_entries() or ()),
        "where": lambda each: (each.location, each.info_location, each.installed_location),
        "its files": lambda each: (each.is_file("RECORD"), each.is_file("none"), each.installer, each.requested),
        "no such file": lambda each: each.read_text("none"),
    }
    for name, question in {**QUESTIONS, **further}.items():
        stock = get_wheel_distribution(FilesystemWheel(str(path)), "demo-x")
        ours = _around_from_wheel(Call(
            get_wheel_distribution, None, (FilesystemWheel(str(path)), "demo-x"), {}, {"wheel": 0, "name": 1}
        ))
        assert asked(question, ours) == asked(question, stock), name


@pytest.mark.skipif(not IMPORTLIB, reason="this Python's pip uses the other backend")
@pytest.mark.parametrize("requirement", ["a>1; extra == 'x'", "a>>1; extra == 'x'", "a>>1", "a; nonsense == 'x'"])
def test_the_check_of_requirements_finds_what_pip_finds(requirement: str) -> None:
    """And what is asked afterwards gets all requirements again, those of extras among them."""
    from pipfast_hooks.metadata.distribution import _around_check_metadata_consistency, _made

    content = f"{TEXTS['nothing']}Requires-Dist: {requirement}\nProvides-Extra: x\n".encode()

    def check(distribution: Any) -> list[str]:
        return [str(each) for each in distribution.iter_dependencies(list(distribution.iter_provided_extras()))]

    backend = select_backend().Distribution
    with global_tempdir_manager():
        stock = get_metadata_distribution(content, "demo_x-1.0-py3-none-any.whl", "demo-x")
        ours = _made(backend, content)
        if ours is None:
            pytest.skip("this pip's distributions have no property to fill")
        call = Call(check, None, (ours,), {}, {"dist": 0})
        checked = asked(lambda _: _around_check_metadata_consistency(call), ours)
        assert checked[0] == asked(check, stock)[0]
        assert asked(check, ours) == asked(check, stock)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def session(tmp_path: Path) -> Iterator[PipSession]:
    with global_tempdir_manager():
        made = PipSession(cache=str(tmp_path / "cache"), trusted_hosts=["127.0.0.1"])
        yield made
        made.close()


class Asking:
    """Pip's way to a metadata file, with the hook around it."""

    def __init__(self, session: PipSession) -> None:
        self.download = SimpleNamespace(_session=session, _progress_bar="off")
        self.asked_pip: list[Any] = []

    def __call__(self, link: Any) -> bytes | None:
        from pipfast_hooks.metadata.side_files import _around_get_http_url

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.asked_pip.append(args[0])

        found = _around_get_http_url(Call(
            wrapped, None, (link, self.download), {"hashes": link.as_hashes()}, {"link": 0, "download": 1}
        ))
        return None if found is None else Path(found.path).read_bytes()


def link_of(index: Index, archive: Archive, *, digest: str | None = None, hashed: bool = True) -> Any:
    """Return pip's link to an archive on a page that names core metadata."""
    assert archive.metadata is not None
    value = digest or hashlib.sha256(archive.metadata).hexdigest()
    attributes: dict[str, str | None] = {
        "href": index.file_url(archive), "data-dist-info-metadata": f"sha256={value}" if hashed else "true",
    }
    link = Link.from_element(attributes, page_url=index.url, base_url=index.url)
    assert link is not None
    return link


def paths(server: Server) -> list[str]:
    return [each.path.rpartition("/")[2] for each in server.requests()]


DEMO = Wheel("demo", "1.0", ["leaf>1"]).build()


def test_what_pips_cache_has_is_not_asked_for_again(server: Server, session: PipSession) -> None:
    link = link_of(server.index().add(DEMO), DEMO)
    session.get(link.metadata_link().url_without_fragment)
    kept_files(session, link)
    ask = Asking(session)
    assert ask(link.metadata_link()) == DEMO.metadata
    assert paths(server) == [f"{DEMO.filename}.metadata"]
    assert not ask.asked_pip


def test_another_digest_is_pips_to_judge(server: Server, session: PipSession) -> None:
    """What is kept is not taken for something else."""
    index = server.index().add(DEMO)
    session.get(link_of(index, DEMO).metadata_link().url_without_fragment)
    ask = Asking(session)
    assert ask(link_of(index, DEMO, digest="0" * 64).metadata_link()) is None
    assert len(ask.asked_pip) == 1


def kept_files(session: PipSession, link: Any) -> list[Path]:
    """Return the files of pip's cache that hold a metadata file."""
    adapter: Any = session.get_adapter(link.url)
    path = Path(adapter.cache._get_cache_path(adapter.controller.cache_url(link.metadata_link().url)))
    body = path.with_name(f"{path.name}.body")
    if not body.exists():
        pytest.skip("this pip keeps headers and body in one file")
    return [path, body]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "headers gone", "body gone"])
def test_a_damaged_cache_is_left_to_pip(server: Server, session: PipSession, damage: str) -> None:
    from pipfast_hooks.metadata.side_files import kept
    from pipfast_hooks.run import current_run

    link = link_of(server.index().add(DEMO), DEMO)
    assert session.get(link.metadata_link().url_without_fragment).content == DEMO.metadata
    headers, body = kept_files(session, link)
    assert kept(current_run(), session, link.metadata_link()) is not None
    content = body.read_bytes()
    if damage == "truncated":
        body.write_bytes(content[:-1])
    elif damage == "flipped":
        body.write_bytes(bytes((content[0] ^ 1,)) + content[1:])
    elif damage == "empty":
        body.write_bytes(b"")
    else:
        (headers if damage == "headers gone" else body).unlink()
    assert kept(current_run(), session, link.metadata_link()) is None


def test_what_no_digest_vouches_for_is_pips_to_fetch(server: Server, session: PipSession) -> None:
    """Only pip's cache rules say whether such a file is still right."""
    from pipfast_hooks.metadata.side_files import kept
    from pipfast_hooks.run import current_run

    link = link_of(server.index(manners=Manners()).add(DEMO), DEMO, hashed=False)
    session.get(link.metadata_link().url_without_fragment)
    assert kept(current_run(), session, link.metadata_link()) is None


@pytest.mark.parametrize("fields", [
    [b"ETag", b"1", b"Content-Length", b"1%d"], [b"ETag", b"1", b"Content-Type", b"%d"],
    [b"Date", b"1", b"Content-Length", b"%d"], [b"ETag", b"1", b"Content-Length", b"%d"],
], ids=["another length", "no length", "nothing to ask the server with", "sound"])
def test_what_pip_would_fetch_again_is_left_to_it(
    server: Server, session: PipSession, fields: list[bytes], request: pytest.FixtureRequest
) -> None:
    """An entry that cannot be revalidated; and one without a length, of which pip names no size."""
    from pipfast_hooks.metadata.side_files import kept
    from pipfast_hooks.run import current_run

    link = link_of(server.index().add(DEMO), DEMO)
    session.get(link.metadata_link().url_without_fragment)
    headers, body = kept_files(session, link)
    texts = [each % body.stat().st_size if b"%" in each else each for each in fields]
    # As msgpack has strings of fewer than 32 bytes.
    headers.write_bytes(b"cc=4,\x82" + b"".join(bytes((0xA0 + len(each),)) + each for each in texts))
    assert (kept(current_run(), session, link.metadata_link()) is not None) == ("sound" in request.node.name)


def test_archives_are_not_taken_for_metadata(session: PipSession) -> None:
    ask = Asking(session)
    assert ask(Link("http://127.0.0.1:9/demo-1.0.tar.gz#sha256=" + "0" * 64)) is None
    assert len(ask.asked_pip) == 1
