"""The benchmark's own pipeline, over two tiny wheels; no time is judged."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import socket
import threading
import zipfile
from pathlib import Path

import pytest

from bench import measure, report
from bench.client import Picked
from bench.corpus import Corpus
from bench.environment import Workshop, bare_venv, isolated, tools
from bench.goals import goals
from bench.relay import Line, Relay
from bench.scenarios import Place, Rounds
from bench.server import Server, find_nginx
from bench.sets import PackageSet

WANTED = PackageSet("tiny", ("benchone",))

needs_nginx = pytest.mark.skipif(find_nginx() is None, reason="nginx is not installed")


def write_wheel(folder: Path, name: str, requires: str = "") -> Path:
    """Write a wheel of one module and return its path."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": f"NAME = {name!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},{_digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""])
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    made = Corpus(tmp_path / "corpus")
    made.add_wheel("benchone", write_wheel(tmp_path, "benchone", "Requires-Dist: benchtwo\n"))
    made.add_wheel("benchtwo", write_wheel(tmp_path, "benchtwo"))
    made.write_pages()
    picked = [Picked(name, "1.0", f"/{name}-1.0-py3-none-any.whl") for name in ("benchone", "benchtwo")]
    made.record_set(WANTED, picked)
    return made


def _get(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, {key.lower(): value for key, value in response.getheaders()}, response.read()
    finally:
        connection.close()


@needs_nginx
@pytest.mark.parametrize("core_metadata", [True, False])
def test_server_answers_as_a_public_index(corpus: Corpus, core_metadata: bool) -> None:
    """Pages are JSON, fresh for ten minutes and revalidated by ETag; files are immutable, in ranges too."""
    with Server(corpus.root, core_metadata) as server:
        status, headers, body = _get(server.port, "/simple/benchone/")
        assert status == 200
        assert headers["content-type"] == "application/vnd.pypi.simple.v1+json"
        assert headers["cache-control"] == "max-age=600, public"
        file = json.loads(body)["files"][0]
        assert ("core-metadata" in file) is core_metadata

        packed = _get(server.port, "/simple/benchone/", **{"Accept-Encoding": "gzip, deflate"})
        assert packed[1]["content-encoding"] == "gzip"
        again = {"If-None-Match": packed[1]["etag"], "Accept-Encoding": "gzip"}
        assert _get(server.port, "/simple/benchone/", **again)[0] == 304

        status, headers, part = _get(server.port, file["url"], Range="bytes=0-1")
        assert (status, part) == (206, b"PK")
        assert "immutable" in headers["cache-control"]
        side = _get(server.port, file["url"] + ".metadata")[2]
        assert b"Requires-Dist: benchtwo" in side

        assert _get(server.port, "/simple/nobody/")[0] == 404
        assert server.misses() == ["/simple/nobody/"]


def test_relay_passes_everything_on_and_no_faster_than_told() -> None:
    """Bytes arrive unchanged and in order, both ways, and the end of each direction is passed on."""
    sent = bytes(range(256)) * 4000
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer, peer.makefile("rb") as source:
                got.append(source.read())
                peer.sendall(sent[::-1])

        server = threading.Thread(target=serve)
        server.start()
        # Capped at 80 Mbit/s, 1 MB takes 0.1 s at the least, each way; a slow machine may take any longer.
        with (
            Relay(Line(rtt_ms=2, mbit=80), listener.getsockname()[1]) as port,
            socket.create_connection(("127.0.0.1", port), timeout=30) as near,
        ):
            near.sendall(sent)
            near.shutdown(socket.SHUT_WR)
            with near.makefile("rb") as source:
                returned = source.read()
        server.join()
    assert got == [sent]
    assert returned == sent[::-1]


def test_phases_are_told_by_the_lines() -> None:
    """The resolver ends at the first archive's line after everything that resolving prints."""
    lines = [
        (0.5, "Collecting flask"),
        (0.6, "  Downloading flask-3.1.3-py3-none-any.whl.metadata (3 kB)"),
        (0.9, "Collecting click"),
        (1.0, "  Using cached click-8.5.1-py3-none-any.whl.metadata (3 kB)"),
        (1.2, "Downloading flask-3.1.3-py3-none-any.whl (103 kB)"),
        (1.3, "   ━━━━━━━━━━━━━━━━━━━━━━━━━━ 103.4/103.4 kB 3.1 MB/s  0:00:00"),
        (1.4, "Using cached click-8.5.1-py3-none-any.whl (98 kB)"),
        (1.7, "Installing collected packages: click, flask"),
        (2.9, "Successfully installed click-8.5.1 flask-3.1.3"),
    ]
    memory = {"others_cpu_s": 0, "largest_rss": 1, "tree_pss": 0, "tree_rss": 0}
    times = {"wall_s": 3.0, "closed_s": 3.0, "user_s": 1.0, "system_s": 0.5}
    outcome = measure.read({"exit_code": 0, **times, **memory, "lines": lines, "errors": ""})
    assert outcome.install_phase_s == pytest.approx(1.8)
    assert outcome.settled_phase_s == pytest.approx(2.0)
    assert outcome.download_phase_s == pytest.approx(0.5)


@needs_nginx
@pytest.mark.timeout(120)
def test_corpus_to_report(corpus: Corpus, tmp_path: Path) -> None:
    """One round of every scenario over the tiny corpus ends in a table, a JSON file and a picture."""
    pytest.importorskip("matplotlib")
    workshop = Workshop(tmp_path / "work", tmp_path / "no-uv")
    bare_venv(workshop.template)
    # This machine's own pip, lent to the copies by path: nothing is fetched for a test.
    lent = next(workshop.template.glob("lib/python3*/site-packages")) / "lent.pth"
    lent.write_text(str(Path(pytest.importorskip("pip").__file__).parents[1]), encoding="utf-8")
    tool = tools(workshop.uv)["pip"]
    said: list[str] = []
    with Server(corpus.root) as server:
        place = Place(WANTED, "loopback", f"http://127.0.0.1:{server.port}/simple/")
        rounds = Rounds(workshop, [tool], said.append)
        scenarios = ("cold", "warm", "satisfied", "dry-run")
        runs = list(rounds.measure(place, scenarios, 1, memory_rounds=1))
        assert server.misses() == []
    assert [run["scenario"] for run in runs if run["kind"] == "timing"] == list(scenarios)
    assert all(run["wall_s"] > 0 and run["exit_code"] == 0 for run in runs)
    assert runs[0]["install_phase_s"] is not None
    results = {"meta": {"versions": {"pip": "pip"}}, "runs": runs}
    written = report.write(results, tmp_path / "results")
    assert [path.name for path in written] == ["results.json", "results.txt", "results.png"]
    assert all(path.stat().st_size for path in written)
    assert "tiny / loopback / cold" in report.table(results)
    assert not any(goal.reached for goal in goals(results))


def test_run_inherits_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a variable nor a file of the user's reaches a measured run."""
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL", "PIPFAST", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    env = isolated(tmp_path)
    assert not {"PIP_INDEX_URL", "UV_INDEX_URL", "PIPFAST", "http_proxy"} & env.keys()
    assert all(value.startswith(str(tmp_path)) for name, value in env.items() if name.startswith(("HOME", "XDG")))


def test_pinned_set_names_every_version_and_hash(corpus: Corpus, tmp_path: Path) -> None:
    """pip and uv read the same file."""
    pinned = WANTED.pinned(corpus.picks(WANTED.name), tmp_path)
    option, flag, path = pinned.arguments
    assert (option, flag) == ("--require-hashes", "-r")
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["benchone==1.0", "benchtwo==1.0"]
    for line, row in zip(lines, corpus.picks(WANTED.name), strict=True):
        assert line.endswith(f" --hash=sha256:{row['sha256']}")
