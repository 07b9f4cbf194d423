"""Projects that are built: local, editable, from version control, from the index."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.index import Manners
from support.twin import pip, python
from support.wheels import Wheel, sdist, sdist_of, source_tree, wheel

if TYPE_CHECKING:
    from pathlib import Path

    from support.index import Index
    from support.twin import Twins

TREE = source_tree("local", "1.0", ["leaf"], extras={"more": ["other"]}, console={"local": "local:main"})


@pytest.fixture
def index(twins: Twins) -> Index:
    return twins.server.index().add(
        wheel("leaf"), wheel("leaf", "0.5"), wheel("other"), sdist("source", "1.0", "leaf")
    )


def _plant(twins: Twins, files: dict[str, bytes], folder: str) -> None:
    twins.write({f"{folder}/{path}": data for path, data in files.items()})


def _repository(twins: Twins) -> Path:
    """Make a repository with two commits, the first of them tagged, and return its folder."""
    _plant(twins, TREE, "../repository")
    folder = twins.inputs / "repository"
    me = ("-c", "user.name=me", "-c", "user.email=me@localhost", "-c", "init.defaultBranch=main")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"], ["tag", "v1"]):
        subprocess.run(["git", *me, *command], cwd=folder, check=True)
    (folder / "src/local/__init__.py").write_text("later = 1\n", "utf-8")
    subprocess.run(["git", *me, "commit", "-qam", "two"], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("wanted", ["./project", "./project[more]", "local @ file://{work}/project"])
def test_local_project(twins: Twins, index: Index, wanted: str) -> None:
    """A folder with a pyproject.toml is built and installed, with its extras and direct_url.json."""
    _plant(twins, TREE, "project")
    twins.agree(
        pip("install", *index.args, wanted.format(work=twins.places.work)),
        pip("freeze"),
        installed={"local": "1.0", "leaf": "1.0"},
        inspect=True,
        warm=False,
    )


def test_editable_project(twins: Twins, index: Index) -> None:
    """An editable project is a .pth file that leads to its sources; it is listed as one, and leaves as one."""
    _plant(twins, TREE, "project")
    twins.agree(
        pip("install", *index.args, "--editable", "./project[more]"),
        python("-c", "import local, sys; assert 'work/project' in local.__file__"),
        pip("list", "--editable"),
        pip("freeze"),
        pip("install", *index.args, "./project", "--no-deps"),
        inspect=True,
    )


def test_a_project_that_changed(twins: Twins, index: Index) -> None:
    """A local project is built anew each time, with the same version too."""
    _plant(twins, TREE, "project")
    change = "open('project/src/local/__init__.py', 'w').write('changed = 1')"
    twins.agree(
        pip("install", *index.args, "./project"),
        python("-c", change),
        pip("install", *index.args, "./project"),
        python("-c", "import local; local.changed"),
    )


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not there")
@pytest.mark.parametrize("revision", ["", "@v1"], ids=["head", "tag"])
@pytest.mark.parametrize("editable", [False, True], ids=["plain", "editable"])
def test_version_control(twins: Twins, index: Index, revision: str, editable: bool) -> None:
    """A repository is cloned at the revision, built, and remembered with its commit."""
    # Without a host, pip 23.0 takes it for no address.
    address = f"local @ git+file://localhost{_repository(twins)}{revision}"
    if editable:
        address = f"git+file://{_repository_name(twins)}{revision}#egg=local"
    twins.agree(
        pip("install", *index.args, *(["--editable"] if editable else []), address),
        pip("freeze"),
        installed={"local": "1.0"},
        uninstall=not editable,
        warm=bool(revision) and not editable,
    )


def _repository_name(twins: Twins) -> Path:
    return twins.inputs / "repository"


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not there")
def test_version_control_goes_wrong(twins: Twins, index: Index) -> None:
    """A revision or a repository that is not there is git's error, passed on by pip."""
    repository = _repository(twins)
    twins.agree(
        pip("install", *index.args, f"git+file://{repository}@nowhere", fails=True),
        pip("install", *index.args, "git+file:///nowhere/at/all", fails=True),
        warm=False,
    )


def test_source_from_the_index(twins: Twins, index: Index) -> None:
    """A source distribution is built once, and its wheel comes from pip's cache after that."""
    twins.agree(
        pip("install", *index.args, "source"),
        pip("uninstall", "-y", "source"),
        pip("install", *index.args, "source"),
        pip("cache", "list"),
        installed={"source": "1.0", "leaf": "1.0"},
        says=("Using cached source", "Stored in directory"),
        inspect=True,
    )


@pytest.mark.parametrize(
    "options", [[], ["--no-build-isolation", "--no-cache-dir"], ["--use-pep517"]],
    ids=["isolated", "open", "pep517"],
)
def test_build_requirements_from_the_index(twins: Twins, index: Index, options: list[str]) -> None:
    """What a build requires is installed into its own environment from the same index, and is not left.

    Without isolation nothing is kept here: the wheel of such a build does not go into pip's cache (README).
    """
    tree = source_tree(
        "built", "1.0", ["leaf"], build_requires=["tool>=1", "leaf<1"], dynamic_requires=["dynamic"]
    )
    index.add(sdist_of("built", "1.0", tree), wheel("tool", "1.0", "toolbox"), wheel("toolbox"), sdist("dynamic"))
    twins.agree(
        pip("install", *index.args, *options, "built", fails=None), installed={"tool": None}, more_requests=True
    )


@pytest.mark.parametrize("how", ["fails", "wheel_fails"])
def test_a_build_that_fails(twins: Twins, index: Index, how: str) -> None:
    """A backend that exits is pip's error, with the backend's output."""
    tree = source_tree("bad", "1.0", **{how: True})  # type: ignore[arg-type]  # one of the two switches
    index.add(sdist_of("bad", "1.0", tree))
    twins.agree(pip("install", *index.args, "leaf", "bad", fails=True), warm=False)


def test_sources_that_cannot_be_unpacked(twins: Twins, index: Index) -> None:
    """A source archive that is cut off, and one with a path that leads outside, are pip's errors."""
    whole = sdist("cut")
    index.add(type(whole)(whole.filename, whole.data[:200]), sdist_of("out", "1.0", {"../../evil": b"x"}))
    twins.agree(
        pip("install", *index.args, "cut", fails=True), pip("install", *index.args, "out", fails=True), warm=False
    )


def test_metadata_of_a_source_that_disagrees(twins: Twins, index: Index) -> None:
    """A source distribution that builds as another version is passed over for the next."""
    tree = source_tree("built", "2.0", metadata="Metadata-Version: 2.1\nName: built\nVersion: 2.1\n")
    index.add(sdist_of("built", "2.0", tree), sdist("built", "1.0"))
    twins.agree(pip("install", *index.args, "built", fails=None), warm=False)


def test_settings_for_the_backend(twins: Twins, index: Index) -> None:
    """--config-settings reach the backend."""
    _plant(twins, TREE, "project")
    twins.agree(
        pip(
            "install",
            *index.args,
            "--config-settings",
            "a=1",
            "--config-settings",
            "b=x y",
            "./project",
            fails=None,
        ),
        warm=False,
    )


def test_local_archives(twins: Twins, index: Index) -> None:
    """A wheel and a source archive by path, by file address and twice, and one that is not there."""
    archive, source = Wheel("demo", requires=["leaf"]).build(), sdist("packed")
    twins.write({archive.filename: archive.data, source.filename: source.data})
    twins.agree(
        pip("install", *index.args, f"./{archive.filename}", f"file://{twins.places.work}/{source.filename}"),
        pip("install", *index.args, f"./{archive.filename}"),
        pip("install", *index.args, "--force-reinstall", "--no-deps", archive.filename),
        pip("install", *index.args, "./absent-1.0-py3-none-any.whl", fails=True),
        installed={"demo": "1.0", "packed": "1.0"},
        inspect=True,
    )


@pytest.mark.parametrize("core_metadata", [True, False])
def test_download(twins: Twins, core_metadata: bool) -> None:
    """``download`` leaves the archives themselves, once, and says where it saved them.

    One dependency only: pip 23.0 on Python 3.10 takes several in the order of a set of objects.
    """
    index = twins.server.index("d", Manners(core_metadata=core_metadata))
    index.add(wheel("demo", "1.0", "leaf"), wheel("leaf"), sdist("source"))
    twins.agree(
        pip("download", *index.args, "-d", "wheels", "demo", "source"),
        pip("download", *index.args, "-d", "wheels", "demo", "leaf"),
        pip("download", *index.args, "--no-deps", "--no-binary", "source", "source"),
        pip("install", "--no-index", "--find-links", "wheels", "demo", "source"),
        more_requests=True,
    )


def test_download_for_another_system(twins: Twins) -> None:
    """``download`` with a platform, a Python and an ABI takes the wheels for these."""
    index = twins.server.index().add(
        Wheel("demo", tag="cp39-cp39-win_amd64", requires=["leaf"]).build(), wheel("leaf")
    )
    other = ("--platform", "win_amd64", "--python-version", "39", "--implementation", "cp", "--abi", "cp39")
    twins.agree(
        pip("download", *index.args, *other, "--only-binary=:all:", "-d", "wheels", "demo"),
        pip("download", *index.args, *other, "demo", fails=True),
        pip("download", *index.args, "demo", fails=True),
        warm=False,
    )


def test_wheel(twins: Twins, index: Index) -> None:
    """``wheel`` builds what is not a wheel and collects the rest."""
    _plant(twins, TREE, "project")
    twins.agree(
        pip("wheel", *index.args, "-w", "wheels", "./project", "source"),
        pip("wheel", *index.args, "--no-deps", "-w", "alone", "source"),
        pip("install", "--no-index", "--find-links", "wheels", "local", "source"),
    )


def test_lock(twins: Twins, index: Index) -> None:
    """``lock`` writes the same file, where there is such a command."""
    twins.agree(pip("lock", *index.args, "source", "other", fails=None), warm=False)
