"""Builds that miss a module are made again with it, if the run itself names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.house import CHECKOUT
from support.pips import since
from support.program import add_shim

if TYPE_CHECKING:
    from support.index import Index
    from support.program import Box, Ended


def seen(box: Box, package: str) -> str:
    """Return the torch that was seen while a package was built."""
    return (box.site_packages / package / "seen.txt").read_text(encoding="utf-8")


def install(box: Box, index: Index, *arguments: str, **variables: str) -> Ended:
    """Install from the index, and check that nothing lies about afterwards."""
    ended = box.pipfast("install", *index.args, *arguments, **variables)
    assert box.leftovers() == []
    return ended


@pytest.mark.parametrize(("package", "named_by"), [
    pytest.param("needy", "-c", marks=pytest.mark.once),
    ("late", "PIP_CONSTRAINT"),
    pytest.param("late", "install.constraint in pip's configuration", marks=pytest.mark.once),
])
def test_module_that_a_constraint_names_is_put_beside_the_build(
    box: Box, index: Index, package: str, named_by: str
) -> None:
    """The build sees exactly that version, whatever is newest; nothing of it reaches the target."""
    (box.work / "constraints.txt").write_text("torch==1.0\n", encoding="utf-8")
    (box.work / "pip.conf").write_text("[install]\nconstraint = constraints.txt\n", encoding="utf-8")
    arguments, variables = {
        "-c": (["-c", "constraints.txt"], {}),
        "PIP_CONSTRAINT": ([], {"PIP_CONSTRAINT": "constraints.txt"}),
    }.get(named_by, ([], {"PIP_CONFIG_FILE": "pip.conf"}))
    ended = install(box, index, *arguments, package, **variables)
    assert ended.status == 0, ended.err
    assert seen(box, package) == "1.0"
    assert box.installed() == [package, f"{package}-1.0.dist-info"]
    assert ended.err.count("Building it again") == 1
    by = "" if named_by == "-c" else f", of {named_by}"
    assert (
        f"pipfast: {package} imports torch without declaring it. Building it again without isolation, with "
        f"torch 1.0 (a constraint names it: constraints.txt, line 1{by}).\n"
    ) in ended.err


def test_both_asked_for_together(box: Box, index: Index) -> None:
    """The wheel is built against the version that is installed beside it."""
    ended = install(box, index, "torch<2", "needy")
    assert ended.status == 0, ended.err
    assert seen(box, "needy") == "1.0"
    assert {"torch-1.0.dist-info", "beside-5.0.dist-info"} <= set(box.installed())


def test_installed_version_is_used_not_the_newest(box: Box, index: Index) -> None:
    """What the target has is neither upgraded nor reinstalled."""
    assert install(box, index, "torch==1.0").status == 0
    before = (box.site_packages / "torch-1.0.dist-info").stat().st_mtime_ns
    ended = install(box, index, "needy")
    assert ended.status == 0, ended.err
    assert seen(box, "needy") == "1.0"
    assert (box.site_packages / "torch-1.0.dist-info").stat().st_mtime_ns == before


def test_unknown_module_of_the_same_name_on_the_index_is_refused(box: Box, index: Index) -> None:
    """Nothing is downloaded because of its name alone; the hint stands below pip's own error."""
    pip, ended = box.pip("install", *index.args, "strange"), install(box, index, "strange")
    assert ended.status == pip.status == 1
    assert ended.out.replace(str(box.root), "") == pip.out.replace(str(box.root), "")
    error, _, hint = ended.err.partition("pipfast: ")
    assert "ModuleNotFoundError: No module named 'unknown'" in error
    assert "PIPFAST_EXTRA_BUILD_DEPENDENCIES='strange: ...'" in hint
    assert box.installed() == []
    assert not [path for path in box.store.glob("archives-v*/*/*/note.json") if "unknown" in path.read_text()]


@pytest.mark.parametrize("package", ["liar", "compiled"])
def test_build_that_prints_a_false_name_gets_nothing(box: Box, index: Index, package: str) -> None:
    """What no process looked for is not missing, whatever is printed; nor is a compiler."""
    (box.work / "constraints.txt").write_text("torch==1.0\n", encoding="utf-8")
    ended = install(box, index, "-c", "constraints.txt", package)
    assert ended.status == 1
    assert "pipfast:" not in ended.err
    assert box.installed() == []


@pytest.mark.once
def test_prose_of_a_module_that_was_looked_for(box: Box, index: Index) -> None:
    """A script that turned the missing import into words is understood."""
    ended = install(box, index, "torch", "prose")
    assert ended.status == 0, ended.err


def test_build_that_can_do_without_is_left_alone(box: Box, index: Index) -> None:
    """A swallowed import is nobody's business: what pip says is all that is said."""
    ended = install(box, index, "torch", "swallowing")
    assert ended.status == 0, ended.err
    assert ended.err == ""


def test_sibling_stays_isolated(box: Box, index: Index) -> None:
    """Only the failing package sees torch, also where another one is rescued in the same run."""
    assert install(box, index, "torch==1.0").status == 0
    ended = install(box, index, "needy", "sibling")
    assert ended.status == 0, ended.err


@pytest.mark.once
def test_switched_off(box: Box, index: Index) -> None:
    """Without rescue the failure is pip's."""
    for variables in ({"PIPFAST_BUILD_RESCUE": "off"}, {"PIPFAST_DISABLE": "builds"}):
        ended = install(box, index, "torch", "needy", **variables)
        assert ended.status == 1
        assert "pipfast:" not in ended.err


@pytest.mark.parametrize("arguments", [
    ["--dry-run"],
    *(pytest.param(each, marks=pytest.mark.once) for each in (["--target", "x"], ["--no-deps"], ["-v"], ["-q"])),
])
def test_ways_of_installing(box: Box, index: Index, arguments: list[str]) -> None:
    """The rescue works the same whatever becomes of the result."""
    ended = install(box, index, "torch==1.0", "needy", *arguments)
    assert ended.status == 0, ended.err
    if arguments == ["--dry-run"]:
        assert box.installed() == []


@pytest.mark.once
def test_other_commands(box: Box, index: Index) -> None:
    """``wheel`` builds what can be installed elsewhere, ``download`` needs the metadata only."""
    for command in ("wheel", "download"):
        ended = box.pipfast(command, *index.args, "torch==1.0", "late", "needy", "-d" if command == "download"
                            else "-w", command)
        assert ended.status == 0, ended.err
        assert box.leftovers() == []
    assert sorted(path.name for path in (box.work / "wheel").iterdir()) == [
        "beside-5.0-py3-none-any.whl", "late-1.0-py3-none-any.whl", "needy-1.0-py3-none-any.whl",
        "torch-1.0-py3-none-any.whl",
    ]


@since("26.3", "another line of pip's stands above ours")
@pytest.mark.once
def test_refusal_ends_as_readme_shows_it(box: Box, index: Index) -> None:
    """Also the line of pip's that stands above ours."""
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    shown = readme[readme.index("    ERROR: Failed to build 'torch-scatter'"):].split("\n\n")[0]
    ended = install(box, index, "needy", PIPFAST_BUILD_RESCUE="named")
    said = ended.err[ended.err.index("ERROR: "):].replace("needy", "torch-scatter")
    assert said.splitlines() == [line.removeprefix("    ") for line in shown.splitlines()]


@pytest.mark.once
def test_hints_name_the_user_s_own_setting(box: Box, index: Index) -> None:
    """What the user names for one package is beside its build."""
    ended = install(box, index, "strange", PIPFAST_EXTRA_BUILD_DEPENDENCIES="strange: unknown")
    assert ended.status == 0, ended.err
    assert box.installed() == ["strange", "strange-1.0.dist-info"]


NO_PROCESS = """
import errno, subprocess, types, wrapt
class Popen(subprocess.Popen):
    def __init__(self, command, *args, **kwargs):
        if str(command[-2:-1]).strip("[]'") in ("get_requires_for_build_wheel", "build_wheel"):
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        super().__init__(command, *args, **kwargs)
@wrapt.when_imported("pip._internal.utils.subprocess")
def refuse(module):
    module.subprocess = types.SimpleNamespace(**vars(subprocess) | {"Popen": Popen})
"""


@pytest.mark.once
def test_a_hook_that_cannot_be_started_is_pips_error(box: Box, index: Index) -> None:
    """What pip says of it is said once, and the command ends."""
    add_shim(box, NO_PROCESS)
    ended = {program: box.run("-m", program, "install", *index.args, "sibling", PIPFAST_BUILDS="1")
             for program in ("pip", "pipfast")}
    assert ended["pipfast"].status == ended["pip"].status == 1
    assert ended["pipfast"].err == ended["pip"].err
