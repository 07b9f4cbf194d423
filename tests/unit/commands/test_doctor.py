"""``pipfast doctor``: its pages and its exit code."""

from __future__ import annotations

import json
import os
import re
import site
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipfast.commands import doctor
from pipfast.commands.facts import Examination, PipFacts, SeamFacts
from pipfast.commands.output import program
from pipfast.plugin import files
from pipfast.settings import LinkMode, Settings
from pipfast.store.layout import Layout, open_layout
from support.stores import keep
from support.wheels import wheel

GOOD = SeamFacts("somewhere.good", "install", "attached", "", True)
OFF = SeamFacts("somewhere.off", "downloads", "stock", "PIPFAST_DISABLE names downloads", True)
ODD = SeamFacts("somewhere.odd", "install", "stock", "its parameters are (a, b)", False)


def facts(*seams: SeamFacts) -> Examination:
    return Examination(PipFacts("99.0", "/pip", "98.0", True), list(seams))


def diagnose(
    capsys: pytest.CaptureFixture[str], settings: Settings, *seams: SeamFacts
) -> tuple[int, dict[str, Any]]:
    status = doctor.main(["--json"], settings, lambda _: facts(*seams))
    return status, json.loads(capsys.readouterr().out)


def test_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a setting switched off is no problem."""
    status, document = diagnose(capsys, Settings(store=tmp_path / "store"), GOOD, OFF)
    assert status == 0 and document["problems"] == []
    assert document["link"]["mode"] in ("clone", "hardlink", "copy")
    assert not list(Path(document["link"]["target"]).glob(".pipfast-doctor*"))
    assert document["store"]["leftovers"] == 0 and document["store"]["in_use"] == 0


@pytest.mark.parametrize("mode", ["auto", "copy"])
def test_diagnosis_makes_no_store(mode: LinkMode, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It tries links all the same, with a file beside the place of the store."""
    settings = Settings(store=tmp_path / "not" / "there", link_mode=mode)
    status, document = diagnose(capsys, settings, GOOD)
    assert (status, document["problems"], document["store"]["usable"]) == (0, [], True)
    assert document["link"]["mode"] in (("clone", "hardlink", "copy") if mode == "auto" else ("copy",))
    assert document["store"]["free"] and document["store"]["leftovers"] == document["store"]["leftover_bytes"] == 0
    assert list(tmp_path.iterdir()) == []


def test_leftovers_are_counted_and_have_a_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = open_layout(tmp_path / "store")
    for number, noun in (0, "1 leftover"), (1, "2 leftovers"):
        (layout.root / "tmp" / f"4711-{16 * '0'}-{number:08}").write_bytes(b"x" * 100_000)
        doctor.main([], Settings(store=layout.root), lambda _: facts(GOOD))
        assert re.search(rf", and {noun} of killed commands, \d+ kB \(.* store prune ", capsys.readouterr().out)


def test_store_above_its_bound_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no problem: the next commands mend it."""
    layout = open_layout(tmp_path / "store")
    for number, bound in enumerate((1 << 40, 1)):
        keep(layout, wheel(f"demo{number}"), tmp_path)
        assert doctor.main([], Settings(store=layout.root, store_size=bound), lambda _: facts(GOOD)) == 0
        out = capsys.readouterr().out
        assert ("  above the bound by " in out) is (bound == 1)
        assert ("store prune` all of it\n" in out) is (bound == 1) and "no problems" in out


def test_attached_environment_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the pipfast that plain pip runs with; what is wrong with that is a problem."""
    monkeypatch.setattr(sysconfig, "get_path", lambda *_: str(tmp_path))
    settings = Settings(store=tmp_path / "store")
    assert diagnose(capsys, settings, GOOD)[1]["attached"] is None

    files.attach(tmp_path, files.own_folder())
    status, document = diagnose(capsys, settings, GOOD)
    assert (status, document["attached"]) == (0, {"pipfast": str(files.own_folder()), "problem": None})
    doctor.main([], settings, lambda _: facts(GOOD))
    assert f"\n  attached     plain pip runs with pipfast from {files.own_folder()}\n" in capsys.readouterr().out

    files.attach(tmp_path, tmp_path / "other")
    status, document = diagnose(capsys, settings, GOOD)
    assert (status, document["problems"]) == (1, [document["attached"]["problem"]])
    assert f"its pipfast is gone from {tmp_path / 'other'}; " in document["problems"][0]

    (tmp_path / files.START).unlink()
    assert "a file of pipfast is missing" in diagnose(capsys, settings, GOOD)[1]["problems"][0]
    (tmp_path / files.PTH).write_text("import other\n", encoding="utf-8")
    assert "is not as pipfast wrote it" in diagnose(capsys, settings, GOOD)[1]["problems"][0]


def test_what_attaches_new_environments_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the Pythons' versions; what is wrong with it is a problem."""
    monkeypatch.setattr(site, "getuserbase", lambda: str(tmp_path / ".local"))
    settings = Settings(store=tmp_path / "store")
    assert diagnose(capsys, settings, GOOD)[1]["new_environments"] == {}

    sites = [tmp_path / ".local/lib" / version / "site-packages" for version in ("python3.10", "python3.13")]
    for each in sites:
        each.mkdir(parents=True)
        files.attach(each, files.own_folder(), files.OF_MAKERS)
    status, document = diagnose(capsys, settings, GOOD)
    right = {"pipfast": str(files.own_folder()), "problem": None}
    assert (status, document["new_environments"]) == (0, {str(each): right for each in sites})
    doctor.main([], settings, lambda _: facts(GOOD))
    line = "\n  new ones     attached by venv and virtualenv of python3.10, python3.13\n"
    assert line in capsys.readouterr().out

    files.attach(sites[0], tmp_path / "other", files.OF_MAKERS)
    (sites[1] / files.OF_MAKERS.names[1]).unlink()
    status, document = diagnose(capsys, settings, GOOD)
    gone, missing = document["problems"]
    assert status == 1 and gone.startswith(f"new environments stay plain: their pipfast is gone from {tmp_path}/")
    assert missing.startswith(f"new environments may stay plain: a file of pipfast is missing in {sites[1]}; ")
    assert missing.endswith(" attach --new-environments` mends that, `"
                            f"{program()} detach --new-environments` ends it")


def test_seam_that_stays_stock_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, document = diagnose(capsys, Settings(store=tmp_path / "store"), GOOD, ODD)
    assert status == 1
    assert document["problems"] == ["somewhere.odd stays stock: its parameters are (a, b)"]


def test_unusable_store_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "store"
    root.mkdir()
    root.chmod(0o777)
    status, document = diagnose(capsys, Settings(store=root), GOOD)
    assert status == 1 and "others can write" in document["problems"][0]
    assert document["link"] == {**document["link"], "mode": "pip", "reason": "there is no store"}


def test_page_about_an_unusable_store_promises_nothing_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "store"
    root.mkdir()
    root.chmod(0o777)
    assert doctor.main([], Settings(store=root), lambda _: facts(GOOD, OFF)) == 1
    out = capsys.readouterr().out
    assert "from the store" not in out and "linked" not in out
    assert "  install      left to pip: there is no store\n" in out
    assert "  installs     as pip alone does into " in out and "(there is no store)" in out


@pytest.mark.parametrize("settings, seams, why", [
    (Settings(enabled=False), [GOOD], "PIPFAST=off"),
    (Settings(disabled=frozenset({"install"})), [GOOD], "PIPFAST_DISABLE"),
    (Settings(), [], "pipfast is not attached to it"),
], ids=["off", "disabled", "a library is missing"])
def test_links_are_not_promised_where_pip_installs(
    settings: Settings, seams: list[SeamFacts], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    doctor.main([], replace(settings, store=tmp_path / "store"), lambda _: facts(*seams))
    expected = f"  installs     as pip alone does into {sysconfig.get_path('purelib')} ({why})\n"
    assert expected in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_store_that_cannot_be_written_in_earnest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read_only(tmp_path, capsys)


def test_store_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is named, not the environment, which can be written. Answers are made up: root writes anywhere."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(Layout, "new_staging", lambda _: Path("/proc/nothing").mkdir())
    read_only(tmp_path, capsys)


def read_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "store"
    open_layout(root)
    (root / "tmp").chmod(0o500)
    (root / "CACHEDIR.TAG").chmod(0o400)
    assert doctor.main([], Settings(store=root), lambda _: facts(GOOD)) == 1
    (root / "tmp").chmod(0o700)
    out = capsys.readouterr().out
    target = sysconfig.get_path("purelib")
    assert f"  installs     copies into {target} (the store's files are read-only)\n" in out
    problem = f"problems\n  the store {root} is read-only: what is not in it yet is not kept\n"
    assert f"{problem}hint: make it writable" in out


@pytest.mark.parametrize("blocks, found", [(10, "full"), (8000, "nearly full"), (10**6, "")])
def test_store_without_room(
    blocks: int, found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a problem, with a hint; how much is free is said always."""
    answer = SimpleNamespace(f_bavail=blocks, f_frsize=4096, f_files=0, f_favail=0)
    monkeypatch.setattr(os, "statvfs", lambda _: answer, raising=False)
    status, document = diagnose(capsys, Settings(store=tmp_path / "store"), GOOD)
    assert (status, document["store"]["free"]) == (bool(found), blocks * 4096)
    if found:
        what = {"full": "what is not in it yet", "nearly full": "what is large"}[found]
        assert document["problems"][0].endswith(f"is on a filesystem that is {found}: {what} is not kept")
        assert document["store"]["hint"].startswith("make room, or export PIPFAST_STORE=/")


def test_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda *_: str(tmp_path / "missing"))
    _, document = diagnose(capsys, Settings(store=tmp_path / "store"), GOOD)
    assert document["link"]["mode"] == "none" and document["link"]["reason"]


@pytest.mark.parametrize("mode", ["hardlink", "own-sources", "copy"])
def test_root_is_told_what_links_share(mode: LinkMode, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody else is: only root gives files away."""
    monkeypatch.setattr(sysconfig, "get_path", lambda *_: str(tmp_path))
    for user in (0, 1000):
        monkeypatch.setattr("pipfast.system.owner.is_root", lambda user=user: user == 0)
        doctor.main([], Settings(store=tmp_path / "store", link_mode=mode), lambda _: facts(GOOD))
        assert ("for what you will chown" in capsys.readouterr().out) is (user == 0 and mode != "copy")


@pytest.mark.parametrize("mode", ["hardlink", "own-sources", "copy"])
def test_link_mode_that_was_asked_for(mode: LinkMode, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda *_: str(tmp_path))
    _, document = diagnose(capsys, Settings(store=tmp_path / "store", link_mode=mode), GOOD)
    assert document["link"]["mode"] == mode


def test_page_is_one_screen_and_names_what_was_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Functions of pip are counted; -v names them."""
    settings = Settings(store=tmp_path / "store", disabled=frozenset({"downloads"}), builds=7)
    odd = [SeamFacts(f"somewhere.odd{number}", "install", "stock", "it is gone", False) for number in range(50)]
    assert doctor.main([], settings, lambda _: facts(GOOD, OFF, *odd)) == 1
    out = capsys.readouterr().out
    assert len(out.splitlines()) <= 25
    for part in (sys.executable, "with pip 99.0; newer than 98.0, the newest tested", "PIPFAST_BUILDS=7",
                 "downloads    off (PIPFAST_DISABLE)", "50 of 51 functions are left to pip",
                 f"store          {tmp_path / 'store'}", "links into ", "50 functions of pip are left to pip: "):
        assert part in out
    assert "somewhere" not in out and "PIPFAST_CONNECTIONS" not in out
    doctor.main(["-v"], settings, lambda _: facts(GOOD, OFF, *odd))
    out = capsys.readouterr().out
    assert "somewhere.odd49: stock (it is gone)" in out and "PIPFAST_CONNECTIONS: 8" in out


def test_page_is_one_screen_whatever_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-v has the rest."""
    settings = Settings(
        store=tmp_path / "store", builds=7, workers=7, connections=3, link_mode="hardlink", build_rescue="named",
        problems=tuple(f"PIPFAST_{number} is set, which is no setting" for number in range(20)),
    )
    assert doctor.main([], settings, lambda _: facts(GOOD, OFF, ODD)) == 1
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 25 and "more: " in out and "PIPFAST_19" not in out
    doctor.main(["-v"], settings, lambda _: facts(GOOD, OFF, ODD))
    assert "PIPFAST_19 is set" in capsys.readouterr().out


@pytest.mark.parametrize("option", [[], ["--json"]], ids=str)
def test_setting_that_cannot_be_read_is_a_problem(
    option: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It counts in the exit code, as the store does."""
    settings = Settings(store=tmp_path / "store", problems=("PIPFAST_WORKERS is 'x'",))
    assert doctor.main(option, settings, lambda _: facts(GOOD)) == 1
    assert "PIPFAST_WORKERS is 'x'" in capsys.readouterr().out.partition("problems")[2]


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        doctor.main(["--what"], Settings(store=tmp_path), lambda _: facts())
    assert caught.value.code == 2


@pytest.mark.parametrize("disabled", ["", "downloads,install"])
def test_on_this_pip(disabled: str, tmp_path: Path) -> None:
    """The real pip: every seam is attached or as expected, or switched off; one JSON document, exit code 0."""
    ended = subprocess.run(
        [sys.executable, "-m", "pipfast", "doctor", "--json"], capture_output=True, text=True, timeout=60,
        env={
            # The tests have a variable of their own, which doctor would take for a misspelt one.
            **{name: value for name, value in os.environ.items() if not name.startswith("PIPFAST_")},
            "PIPFAST_STORE": str(tmp_path / "store"), "PIPFAST_DISABLE": disabled,
        },
    )
    document = json.loads(ended.stdout)
    assert (ended.returncode, document["problems"]) == (0, [])
    stock = {seam["family"] for seam in document["seams"] if seam["state"] == "stock"}
    assert stock == set(filter(None, disabled.split(",")))


def test_extra_build_dependencies_are_shown_as_they_are_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = {"flash-attn": ("torch>=2", "ninja"), "khoros": ("numpy",)}
    doctor.main([], Settings(store=tmp_path / "store", extra_build_dependencies=extra), lambda _: facts(GOOD))
    shown = "PIPFAST_EXTRA_BUILD_DEPENDENCIES=flash-attn: torch>=2, ninja; khoros: numpy\n"
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize("environment", [False, True])
def test_externally_managed_python_is_named(
    environment: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip refuses to install into it; into an environment made of it, it does not."""
    marker = tmp_path / "EXTERNALLY-MANAGED"
    marker.touch()
    monkeypatch.setattr(sysconfig, "get_path", lambda *_: str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path) if environment else sys.base_prefix)
    settings = Settings(store=tmp_path / "store")
    assert doctor.main([], settings, lambda _: facts(GOOD)) == 0
    out = capsys.readouterr().out
    line = f"\n  managed      pip installs nothing here without --break-system-packages ({marker})\n"
    assert (line in out) is not environment and "no problems" in out
    found = diagnose(capsys, settings, GOOD)[1]["interpreter"]["managed"]
    assert found == (None if environment else str(marker))


def test_environment_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the second line; a run that nothing was chosen for says so."""
    settings = Settings(store=tmp_path / "store")
    doctor.main([], settings, lambda _: replace(facts(GOOD), why="--python"))
    second = capsys.readouterr().out.splitlines()[1]
    assert second.startswith(f"  environment  {sys.prefix} (")
    assert second.endswith("virtual environment; --python)")
    assert diagnose(capsys, settings, GOOD)[1]["interpreter"]["why"] == "this Python was started"
