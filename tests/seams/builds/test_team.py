"""Wheels go to the team's store only if nothing that they were built with has changed."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pipfast.settings import Secret, Settings
from pipfast.store.archives import sha256_of
from support.team import KEY, MAKER, wheel_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# As in a run: on 25.1 the modules below cannot be imported first.
importlib.import_module("pip._internal.commands.install")
from pipfast_hooks.builds.context import Context  # noqa: E402
from pipfast_hooks.builds.team import builds as module  # noqa: E402
from pipfast_hooks.builds.team import choices, part  # noqa: E402
from pipfast_hooks.builds.team.record import Seen  # noqa: E402
from pipfast_hooks.run import Run, begin_run, end_run  # noqa: E402

Link = importlib.import_module("pip._internal.models.link").Link


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Yield the run of a machine that puts wheels into the team's store."""
    (tmp_path / "team").mkdir()
    run = begin_run(Settings(
        store=tmp_path / "store", remote=f"file://{tmp_path}/team", remote_key=Secret(KEY), remote_write=True,
    ))
    run.part(Context).options = SimpleNamespace(build_isolation=True)
    yield run
    end_run()


@pytest.fixture
def requirement(tmp_path: Path) -> Any:
    """Return pip's requirement of an archive that is built in an environment with one file."""
    archive = tmp_path / "plain-1.0.tar.gz"
    archive.write_bytes(b"an archive")
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / "maker.py").write_text("version = 1\n", encoding="utf-8")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "setup.py").write_text("", encoding="utf-8")
    return SimpleNamespace(
        link=Link(archive.as_uri()), editable=False, local_file_path=str(archive), config_settings=None,
        name="plain", build_env=SimpleNamespace(lib_dirs=[str(tmp_path / "environment")]),
        pyproject_requires=["maker"],
        unpacked_source_directory=str(tmp_path / "source"),
    )


def build(run: Run, requirement: Any, tmp_path: Path, meanwhile: Callable[[], object] = list) -> list[Any]:
    """Go through the steps of a build, with something that happens meanwhile; return what went to the team."""
    pytest.importorskip("obstore")
    builds = run.part(module.TeamBuilds)
    builds.begin(requirement)
    builds.note_files(requirement)
    meanwhile()
    seen = Seen(True, (MAKER,), ("maker",), {"maker": ""})
    builds.end(requirement, str(wheel_file(tmp_path / "built")), lambda since: seen)
    place = run.part(part.Team).place(f"sha256:{_digest(requirement)}", None)
    return list(run.part(part.Team).remote.wheels(place))


def _digest(requirement: Any) -> str:
    return sha256_of(Path(requirement.local_file_path))


def test_wheel_goes_to_the_team(run: Run, requirement: Any, tmp_path: Path) -> None:
    ((_, head, wheel),) = build(run, requirement, tmp_path)
    assert (wheel.filename, wheel.visible, wheel.processor) == ("plain-1.0-py3-none-any.whl", (MAKER,), "")
    assert wheel.made["host"] and head.size


@pytest.mark.parametrize("change", ["archive", "environment", "variable", "tool", "removed"])
def test_inputs_that_changed_meanwhile(
    run: Run, requirement: Any, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel is of nobody knows what: it is not put there, neither as of before nor as of now."""
    inside = tmp_path / "environment" / "maker.py"

    def meanwhile() -> None:
        if change == "archive":
            (tmp_path / "plain-1.0.tar.gz").write_bytes(b"another one")
        elif change == "environment":
            inside.write_text("version = 2\n", encoding="utf-8")
        elif change == "removed":
            inside.unlink()
        elif change == "variable":
            monkeypatch.setenv("CFLAGS", "-O3 -DX")
        else:
            monkeypatch.setattr(part, "tool_versions", lambda environ: {"cc": "another"})

    assert build(run, requirement, tmp_path, meanwhile) == []
    assert not list((tmp_path / "team").rglob("wheels/*/*/*"))


def test_bytecode_that_a_build_leaves_is_no_change(run: Run, requirement: Any, tmp_path: Path) -> None:
    assert build(run, requirement, tmp_path, (tmp_path / "environment" / "__pycache__").mkdir)


def test_source_that_asks_for_the_machines_processor(run: Run, requirement: Any, tmp_path: Path) -> None:
    """Its wheel is for such machines alone."""
    (tmp_path / "source" / "setup.py").write_text("flags = ['-march=native']\n", encoding="utf-8")
    ((name, _, wheel),) = build(run, requirement, tmp_path)
    team = run.part(part.Team)
    assert wheel.processor == team.processor
    place = name.split("/")[3]
    assert list(team.wheels(place, isolated=True))
    team._processor = "another"
    assert not list(team.wheels(place, isolated=True))


@pytest.mark.parametrize("change", [
    {"editable": True}, {"link": None}, {"local_file_path": None},
])
def test_sources_without_a_digest_are_not_shared(
    run: Run, requirement: Any, tmp_path: Path, change: dict[str, Any]
) -> None:
    vars(requirement).update(change)
    builds = run.part(module.TeamBuilds)
    builds.begin(requirement)
    assert not builds._started


def test_folder_is_not_shared(run: Run, requirement: Any, tmp_path: Path) -> None:
    requirement.link = Link((tmp_path / "source").as_uri())
    builds = run.part(module.TeamBuilds)
    builds.begin(requirement)
    assert not builds._started


def distribution(name: str, *requires: str) -> Any:
    return SimpleNamespace(name=name, requires=list(requires))


def test_specifiers_that_a_build_environment_met() -> None:
    """Those of what is declared, of its dependencies, and of extras that these ask for."""
    there = {
        "setuptools-scm": distribution("setuptools-scm", "setuptools>=61", "rich; extra == 'rich'",
                                       "tomli>=1; extra == 'toml'", "never; python_version < '3'"),
        "setuptools": distribution("setuptools"), "tomli": distribution("tomli"),
    }
    declared = ["setuptools_scm[toml]>=8", "setuptools<90", "other; python_version < '3'"]
    assert choices.wanted_of(declared, there) == {
        "setuptools": "<90,>=61", "setuptools-scm": ">=8", "tomli": ">=1",
    }
    assert choices.wanted_of(["setuptools @ https://host/x.whl"], there) is None


@pytest.mark.parametrize(("constraint", "known"), [
    (None, True), ("maker<9", True), ("maker<2", False), ("other<2", True),
    ("maker @ https://host/maker-1.whl", False),
])
def test_constraints_that_would_change_the_choice(run: Run, constraint: str | None, known: bool) -> None:
    """Whether they bear on build environments differs from pip to pip: only what they leave as it is is known."""
    install_req_from_line = importlib.import_module("pip._internal.req.constructors").install_req_from_line
    context = run.part(Context)
    context.requirements = [install_req_from_line(constraint, constraint=True)] if constraint else []

    def best(name: str, specifiers: Any) -> Any:
        version = next((each for each in ("2.0", "1.0") if specifiers.contains(each)), None)
        link = Link(f"https://host/{name}-{version}-py3-none-any.whl#sha256={'ab' * 32}")
        return SimpleNamespace(best_candidate=version and SimpleNamespace(version=version, link=link))

    context.finder = SimpleNamespace(find_best_candidate=best)
    assert (choices.chosen(context, "maker", ">=1") == ("2.0", "ab" * 32)) is known
