"""Rescued builds of folders, repositories and hashed requirements, and chains of missing modules."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipfast.store.names import BUILT, LEARNT
from support.pips import since
from support.sources import archive, seeing, source, torch
from support.wheels import Wheel

if TYPE_CHECKING:
    from support.index import Index
    from support.program import Box, Ended

pytestmark = pytest.mark.many



def install(box: Box, index: Index, *arguments: str, **variables: str) -> Ended:
    """Install from the index; it succeeds, and nothing lies about afterwards."""
    ended = box.pipfast("install", *index.args, *arguments, **variables)
    assert ended.status == 0, ended.err
    assert box.leftovers() == []
    return ended


def write(folder: Path, tree: dict[str, bytes]) -> Path:
    """Write a project's files."""
    for path, data in tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def rotary() -> dict[str, bytes]:
    """Return the files of a project that needs torch."""
    return source("rotary", scripts={"requires": seeing("torch", "rotary")})


def seen(folder: Path) -> str:
    """Return the torch that rotary was built against."""
    return (folder / "rotary" / "seen.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("option", [
    pytest.param([], marks=pytest.mark.once), ["--editable"],
    pytest.param(["--config-settings", "some=thing"], marks=pytest.mark.once),
])
def test_folder(box: Box, index: Index, option: list[str]) -> None:
    """A project of one's own, also in editable mode, and with settings for its backend."""
    folder = write(box.work / "local", rotary())
    install(box, index, "torch==1.0", *option, str(folder))
    assert seen(folder / "src" if option == ["--editable"] else box.site_packages) == "1.0"


@pytest.mark.parametrize("is_folder", [True, False], ids=["folder", "archive"])
def test_of_a_folder_nothing_is_kept_or_remembered(box: Box, index: Index, is_folder: bool) -> None:
    """A folder may be another one the next time; of an archive wheel and cause are kept, and used."""
    path = box.work / "rotary-1.0.tar.gz"
    if is_folder:
        write(path, rotary())
    else:
        path.write_bytes(archive("rotary", scripts={"requires": seeing("torch", "rotary")}).data)
    said = [install(box, index, "--force-reinstall", "torch==1.0", str(path)).err.count("Building it again")
            for _ in range(2)]
    notes = {bucket: len(list((box.store / bucket).glob("*/*"))) for bucket in (BUILT, LEARNT)}
    assert seen(box.site_packages) == "1.0"
    assert (said, notes) == (([1, 1], {BUILT: 0, LEARNT: 0}) if is_folder else ([1, 0], {BUILT: 1, LEARNT: 1}))


@pytest.mark.once
@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_repository_with_a_subdirectory_in_a_requirements_file(box: Box, index: Index) -> None:
    """The commit is the source: a second environment gets the wheel, another commit is built."""
    repository = box.work / "repository"
    write(repository / "csrc" / "rotary", rotary())
    git = ["git", "-C", str(repository), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    line = f"git+{repository.as_uri()}#subdirectory=csrc/rotary"
    (box.work / "requirements.txt").write_text(f"torch==1.0\n{line}\n", encoding="utf-8")
    ended = install(box, index, "-r", "requirements.txt")
    assert seen(box.site_packages) == "1.0"
    assert "Building wheel for rotary (" in ended.out
    ended = install(box, index, "--force-reinstall", "-r", "requirements.txt")
    assert "Building wheel for rotary (" not in ended.out
    (repository / "new").write_text("", encoding="utf-8")
    for command in (["add", "."], ["commit", "-q", "-m", "two"]):
        subprocess.run([*git, *command], check=True)
    ended = install(box, index, "--force-reinstall", "-r", "requirements.txt")
    assert "Building wheel for rotary (" in ended.out


def test_chain(box: Box, index: Index) -> None:
    """One module after another, each in a round of its own; nothing of either in the environment."""
    index.add(
        # Named by the reviewed table: the index has what the module is called, too.
        Wheel("factory_boy", "3.0", files={"factory.py": ""}).build(),
        Wheel("factory", "1.0", files={"wrong.py": ""}).build(),
        archive("chained", scripts={"requires": "import torch\nimport factory\n"}),
    )
    (box.work / "constraints.txt").write_text("torch==1.0\n", encoding="utf-8")
    ended = install(box, index, "-c", "constraints.txt", "chained")
    said = [ended.err.find(f"chained imports {name} without") for name in ("torch", "factory")]
    assert -1 < said[0] < said[1], ended.err
    assert ended.err.count("Building it again") == 2
    assert box.installed() == ["chained", "chained-1.0.dist-info"]
    assert "chained was built with torch, factory" in ended.err
    assert "declares no dependency on them, and they were not installed" in ended.err


@pytest.mark.once
def test_named_leaves_the_reviewed_table_out(box: Box, index: Index) -> None:
    """What only the table names is refused then, with the setting that would allow it."""
    index.add(
        Wheel("factory_boy", "3.0", files={"factory.py": ""}).build(),
        archive("tabled", scripts={"requires": "import factory\n"}),
    )
    ended = box.pipfast("install", *index.args, "tabled", PIPFAST_BUILD_RESCUE="named")
    assert ended.status == 1
    assert "tabled imports factory without declaring it, and pipfast may not add factory-boy" in ended.err
    assert "(build-rescue = named)" in ended.err
    assert "PIPFAST_EXTRA_BUILD_DEPENDENCIES='tabled: factory-boy'" in ended.err
    install(box, index, "tabled", PIPFAST_EXTRA_BUILD_DEPENDENCIES="tabled: factory-boy")


@pytest.mark.once
@pytest.mark.parametrize("needed", ["torch", "unknown"])
def test_what_a_folder_itself_declares_is_trusted(box: Box, index: Index, needed: str) -> None:
    """A name that its pyproject.toml has among the dependencies is one that somebody has named."""
    tree = source("rotary", scripts={"requires": f"import {needed}\n"}, requires=[needed])
    project = f"name = 'rotary'\nversion = '1.0'\ndependencies = ['{needed}']\n"
    tree["pyproject.toml"] += f"\n[project]\n{project}".encode()
    ended = install(box, index, str(write(box.work / "local", tree)), PIPFAST_BUILD_RESCUE="named")
    assert "(rotary itself requires it)" in ended.err


@pytest.mark.once
def test_chain_that_ends_in_a_refusal(box: Box, index: Index) -> None:
    """First error, last error, rounds and the setting stand below pip's own error; pip's exit code."""
    index.add(archive("stuck", scripts={"requires": "import torch\nimport unknown\n"}))
    (box.work / "constraints.txt").write_text("torch==1.0\n", encoding="utf-8")
    ended = box.pipfast("install", *index.args, "-c", "constraints.txt", "stuck")
    assert ended.status == box.pip("install", *index.args, "stuck").status == 1
    _, _, end = ended.err.rpartition("ERROR: ")
    assert "the build of stuck failed after 1 more round, with torch 1.0; none of it was installed" in end
    assert "first error: ModuleNotFoundError: No module named 'torch'" in end
    assert "last error:  ModuleNotFoundError: No module named 'unknown'" in end
    assert "PIPFAST_EXTRA_BUILD_DEPENDENCIES='stuck: ...'" in end
    assert box.installed() == [] and box.leftovers() == []


@pytest.mark.once
def test_extra_build_dependencies_are_there_from_the_start(box: Box, index: Index) -> None:
    """Nothing fails first, and what is not in question stays as it was."""
    ended = install(box, index, "strange", PIPFAST_EXTRA_BUILD_DEPENDENCIES="strange: unknown")
    assert "error" not in ended.out + ended.err
    assert ended.err.count("pipfast: Building strange without isolation, with unknown 1.0 (") == 1


@pytest.mark.once
def test_newer_tool_than_the_environment_has(box: Box, index: Index) -> None:
    """What a backend asks for goes over what the target has, as it would under isolation; the target stays."""
    tool = [Wheel("tool", version, files={"tool.py": f"version = {version!r}\n"}).build() for version in "12"]
    index.add(*tool, archive("tooled", scripts={
        "requires": "import torch\n", "wheel": "import tool\nassert tool.version == '2'\n",
    }, dynamic_requires=["tool>=2"]))
    install(box, index, "torch==1.0", "tool==1")
    install(box, index, "tooled")
    assert "tool-1.dist-info" in box.installed()


@pytest.mark.once
@pytest.mark.parametrize("hashed", [True, False])
def test_hashes_are_required_of_what_is_put_beside(box: Box, index: Index, hashed: bool) -> None:
    """What the user gave no hash for is not fetched, whoever names it."""
    needing = archive("hashed", scripts={"requires": seeing("torch", "hashed")})
    # Older than the others: it is nobody's choice but where it is named.
    lone = torch("0.5")
    index.add(needing, lone)
    lines = [f"{name}=={version} --hash=sha256:{hashlib.sha256(each.data).hexdigest()}"
             for name, version, each in (("hashed", "1.0", needing), ("torch", "0.5", lone))]
    (box.work / "requirements.txt").write_text("\n".join(lines[: 1 + hashed]) + "\n", encoding="utf-8")
    ended = box.pipfast("install", *index.args, "--require-hashes", "-r", "requirements.txt")
    assert ended.status == (0 if hashed else 1), ended.err
    if not hashed:
        assert "add torch with its hashes to the requirements" in ended.err
        assert box.installed() == []


@pytest.mark.once
def test_build_constraints(box: Box, index: Index) -> None:
    """The user's constraints on builds hold for rescued ones, and do not stop them."""
    (box.work / "build.txt").write_text("beside<6\n", encoding="utf-8")
    install(box, index, "torch==1.0", "needy", PIP_BUILD_CONSTRAINT="build.txt")


@pytest.mark.once
def test_user_site(box: Box, index: Index) -> None:
    """A user's own packages are the target, too."""
    config = box.root / "venv" / "pyvenv.cfg"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("site-packages = false", "site-packages = true"), encoding="utf-8")
    base = str(box.root / "base")
    install(box, index, "--user", "torch==1.0", PYTHONUSERBASE=base)
    ended = install(box, index, "--user", "needy", PYTHONUSERBASE=base)
    assert "the version that the environment has" in ended.err
    assert [path.read_text(encoding="utf-8") for path in Path(base).rglob("needy/seen.txt")] == ["1.0"]
    assert box.installed() == []


@since("25.1", "it has no lock")
def test_lock(box: Box, index: Index) -> None:
    """The metadata of what is locked comes from rescued builds, too."""
    ended = box.pipfast("lock", *index.args, "torch==1.0", "needy", "-o", "pylock.toml")
    assert ended.status == 0, ended.err
    assert 'name = "needy"' in (box.work / "pylock.toml").read_text(encoding="utf-8")
    assert box.leftovers() == []
