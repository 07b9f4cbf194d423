"""The resolver's decisions are what is installed."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING

import pytest

from support.index import Manners
from support.poison import flip_archives_unseen, flip_everything
from support.twin import pip, python, stock
from support.wheels import Wheel, sdist, sdist_of, source_tree, wheel

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.environments import Places
    from support.twin import Twins
    from support.wheels import Archive

NEXT_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor + 1}"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("demo", "1.0"), ("demo==2.0", "2.0"), ("demo>=2", None), ("demo===2.0", "2.0")],
    ids=["passed-over", "pinned", "nothing-else-fits", "pinned-to-the-letter"],
)
def test_yanked(twins: Twins, wanted: str, expected: str | None) -> None:
    """A yanked version is taken only where it is pinned; the warning tells its reason."""
    index = twins.server.index().add(wheel("demo", "1.0")).add(wheel("demo", "2.0"), yanked="it broke things")
    twins.agree(
        pip("install", *index.args, wanted, fails=expected is None),
        installed={"demo": expected},
        warm=False,
    )


def test_yanked_dependency(twins: Twins) -> None:
    """A yanked version that a requirement of a requirement pins is installed with a warning; else it is not."""
    index = twins.server.index().add(wheel("demo", "1.0", "leaf==2.0"), wheel("leaf", "1.0", "other"))
    index.add(wheel("leaf", "2.0", "other"), yanked="").add(wheel("other", "1.0"))
    index.add(wheel("other", "2.0"), yanked="no")
    twins.agree(pip("install", *index.args, "demo"), installed={"leaf": "2.0", "other": "1.0"})


def test_all_yanked(twins: Twins) -> None:
    """A project of which everything is yanked ends as with pip."""
    index = twins.server.index().add(wheel("demo", "1.0"), wheel("demo", "2.0"), yanked="all of it")
    twins.agree(pip("install", *index.args, "demo", fails=None), warm=False)


@pytest.mark.parametrize("loud", [(), ("-v",)], ids=["plain", "loud"])
@pytest.mark.parametrize("core_metadata", [True, False])
def test_requires_python(twins: Twins, core_metadata: bool, loud: tuple[str, ...]) -> None:
    """Upper and lower bounds on Python pass a version over, transitively too; with ``-v`` pip tells of it."""
    index = twins.server.index(manners=Manners(core_metadata=core_metadata))
    index.add(
        wheel("demo", "1.0", "leaf"),
        Wheel("demo", "2.0", requires_python=f">={NEXT_PYTHON}").build(),
        Wheel("leaf", "1.0", requires_python=f">=3.8,<{NEXT_PYTHON}").build(),
        Wheel("leaf", "2.0", requires_python="<3.8").build(),
    )
    twins.agree(
        pip("install", *index.args, *loud, "demo"),
        pip("install", *index.args, *loud, "leaf==2.0", fails=True),
        installed={"demo": "1.0", "leaf": "1.0"},
        warm=False,
        notes=bool(loud),
    )


def test_requires_python_in_the_metadata_only(twins: Twins) -> None:
    """A bound that the page does not show is found in the metadata; --ignore-requires-python steps over it."""
    bound = Wheel("demo", "2.0", requires_python=f">={NEXT_PYTHON}").build()
    index = twins.server.index().add(wheel("demo", "1.0"), type(bound)(bound.filename, bound.data, bound.metadata))
    twins.agree(
        pip("install", *index.args, "demo", fails=None),
        pip("install", *index.args, "--ignore-requires-python", "-U", "demo"),
        installed={"demo": "2.0"},
        warm=False,
    )


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["demo"], {"demo": "1.0", "leaf": "1.0"}),
        (["--pre", "demo"], {"demo": "2.0rc1", "leaf": "2.0b2"}),
        (["demo>=2.0a1"], {"demo": "2.0rc1", "leaf": "1.0"}),
        (["demo==2.0rc1", "leaf>1.0.dev0"], None),
        (["only"], None),
    ],
    ids=["final", "pre", "specifier", "two-specifiers", "nothing-else"],
)
def test_pre_releases(twins: Twins, args: list[str], expected: dict[str, str] | None) -> None:
    """Pre-releases come with --pre, by a specifier that names one, or because there is nothing else."""
    index = twins.server.index().add(wheel("demo", "1.0", "leaf"), wheel("demo", "2.0rc1", "leaf"))
    index.add(wheel("leaf", "1.0"), wheel("leaf", "2.0b2"), wheel("only", "0.1.dev3"))
    twins.agree(pip("install", *index.args, *args), installed=expected, warm=False)


@pytest.mark.parametrize("core_metadata", [True, False])
def test_metadata_that_disagrees_with_the_name(twins: Twins, core_metadata: bool) -> None:
    """A wheel whose metadata has another version is discarded, and pip takes the next.

    Another name is found out by some pips only.
    """
    index = twins.server.index(manners=Manners(core_metadata=core_metadata)).add(
        wheel("demo", "1.0", "leaf"),
        Wheel("demo", "2.0", metadata_version="2.1").build(),
        wheel("leaf", "1.0"),
        Wheel("leaf", "2.0", metadata_name="other").build(),
    )
    twins.agree(pip("install", *index.args, "demo"), installed={"demo": "1.0"})


@pytest.mark.parametrize(
    "requirement", ["leaf (>=1.0.*)", "leaf ; python_version > '3' ; extra == 'more'", "(leaf"]
)
@pytest.mark.parametrize("wanted", ["demo", "demo[more]"])
def test_legacy_metadata(twins: Twins, requirement: str, wanted: str) -> None:
    """Metadata that no tool would write today (a bad requirement, a bad version) is what it is to pip."""
    bad = "Metadata-Version: 2.1\nName: demo\nVersion: 2.0\nProvides-Extra: more\n"
    bad += f"Requires-Dist: {requirement}\n"
    index = twins.server.index().add(
        wheel("demo", "1.0"), Wheel("demo", "2.0", dist_info={"METADATA": bad}).build()
    )
    odd = Wheel("odd", "1.0", files={"odd.py": ""}, dist_info={"METADATA": "Name: odd\nVersion: 1.0-final!\n"})
    index.add(odd.build(), wheel("leaf"), wheel("old", "1.0.post-final-9x"))
    twins.agree(
        pip("install", *index.args, wanted, fails=None),
        pip("install", *index.args, "odd", fails=None),
        pip("install", *index.args, "old", fails=None),
    )


def test_installed_legacy_metadata(twins: Twins) -> None:
    """An installed distribution with an invalid requirement does not stop the next install."""

    def plant(places: Places) -> None:
        folder = places.site_packages / "broken-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: broken\nVersion: 1.0\nRequires-Dist: leaf (>=1.0.*)\n", "utf-8"
        )
        (folder / "RECORD").write_text("broken-1.0.dist-info/METADATA,,\nbroken-1.0.dist-info/RECORD,,\n", "utf-8")

    index = twins.server.index().add(wheel("demo"))
    twins.agree(
        pip("install", *index.args, "demo", fails=None), pip("check", fails=None), prepare=plant, uninstall=False
    )


@pytest.mark.parametrize("wanted", ["demo[more]", "demo[more,less]", "demo[nothing]", "demo[MORE] ", "demo"])
def test_extras(twins: Twins, wanted: str) -> None:
    """Extras bring their requirements, their own extras too; an unknown one is warned about."""
    demo = Wheel("demo", extras={"more": ["leaf[deep]>=1"], "less": ["other"]}).build()
    leaf = Wheel("leaf", extras={"deep": ["bottom"]}).build()
    index = twins.server.index().add(demo, leaf, wheel("other"), wheel("bottom"))
    twins.agree(pip("install", *index.args, wanted.strip()), warm=False)


def test_markers(twins: Twins) -> None:
    """Requirements for other systems and Pythons are left out, on the command line too."""
    demo = wheel(
        "demo",
        "1.0",
        'leaf; sys_platform != "nowhere"',
        'ghost; sys_platform == "nowhere"',
        "old; python_version<'3'",
    )
    index = twins.server.index().add(demo, wheel("leaf"))
    twins.agree(
        pip("install", *index.args, "demo", "ghost; python_version < '3'"),
        installed={"leaf": "1.0", "ghost": None},
        warm=False,
    )


def test_constraints(twins: Twins) -> None:
    """Constraints bound what is chosen and install nothing by themselves; what they forbid fails."""
    index = twins.server.index().add(wheel("demo", "1.0", "leaf"), wheel("demo", "2.0", "leaf>=2"))
    index.add(wheel("leaf", "1.0"), wheel("leaf", "2.0"), wheel("unused"))
    twins.write({"c.txt": "leaf<2\nunused==1.0\n", "d.txt": "demo==3\n"})
    twins.agree(
        pip("install", *index.args, "-c", "c.txt", "demo"),
        pip("install", *index.args, "-c", "d.txt", "--force-reinstall", "demo", fails=True),
        installed={"demo": "1.0", "leaf": "1.0", "unused": None},
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--no-binary", "demo"], "2.0"),
        (["--no-binary", ":all:"], None),
        (["--only-binary", ":all:"], "1.5"),
        (["--only-binary", "demo"], "1.5"),
        (["--prefer-binary"], "1.5"),
        ([], "2.0"),
    ],
    ids=["no-binary", "no-binary-all", "only-binary-all", "only-binary", "prefer-binary", "either"],
)
def test_binary_or_source(twins: Twins, options: list[str], expected: str | None) -> None:
    """Format control chooses between a newer source distribution and an older wheel."""
    index = twins.server.index().add(
        wheel("demo", "1.5", "leaf"), sdist("demo", "2.0", "leaf"), sdist("demo", "1.5")
    )
    index.add(wheel("leaf"))
    twins.agree(
        pip("install", *index.args, *options, "demo", fails=None if expected is None else False),
        installed={"demo": expected} if expected else None,
    )


def _hashed(*archives: Archive, wrong: str = "") -> str:
    lines = []
    for archive in archives:
        name, version = archive.filename.split("-")[:2]
        digest = "0" * 64 if name == wrong else archive.sha256
        lines.append(f"{name}=={version.removesuffix('.tar.gz')} --hash=sha256:{digest}")
    return "\n".join(lines) + "\n"


HASHED = (wheel("demo", "1.0", "leaf"), wheel("leaf"), sdist("source", "1.0"))


@pytest.mark.parametrize("wrong", ["", "demo", "leaf", "source"], ids=["right", "demo", "leaf", "source"])
def test_required_hashes(twins: Twins, wrong: str) -> None:
    """With --require-hashes the right files are installed; one wrong digest and nothing is."""
    index = twins.server.index().add(*HASHED)
    twins.write({"requirements.txt": _hashed(*HASHED, wrong=wrong)})
    twins.agree(pip("install", *index.args, "--require-hashes", "-r", "requirements.txt", fails=bool(wrong)))


@pytest.mark.parametrize("damage", [flip_everything, flip_archives_unseen], ids=["seen", "unseen"])
@pytest.mark.parametrize("hashes", [True, False], ids=["hashes", "no-hashes"])
def test_poisoned_store(twins: Twins, damage: Callable[[Places], None], hashes: bool) -> None:
    """Bytes that changed in the store are never installed, with and without --require-hashes."""
    index = twins.server.index().add(*HASHED)
    twins.write({"requirements.txt": _hashed(*HASHED) if hashes else "demo\nsource\n"})
    twins.agree(
        pip("install", *index.args, "-r", "requirements.txt"),
        python("-c", "import demo, leaf, source"),
        between=damage,
        notes=True,
    )


def test_hashes_of_other_kinds_and_some_missing(twins: Twins) -> None:
    """sha512 is a hash too; a requirement without one is refused, one that is not pinned as this pip does."""
    digest = hashlib.sha512(HASHED[1].data).hexdigest()
    index = twins.server.index().add(*HASHED)
    twins.write(
        {
            "sha512.txt": f"leaf==1.0 --hash=sha512:{digest}\n",
            "missing.txt": f"leaf==1.0 --hash=sha512:{digest}\ndemo==1.0\n",
            "loose.txt": f"leaf>=1.0 --hash=sha512:{digest}\n",
            "incomplete.txt": _hashed(HASHED[0]),
        }
    )
    twins.agree(
        pip("install", *index.args, "-r", "sha512.txt"),
        pip("install", *index.args, "-r", "missing.txt", fails=True),
        pip("install", *index.args, "--force-reinstall", "-r", "loose.txt", fails=None),
        pip("install", *index.args, "--force-reinstall", "-r", "incomplete.txt", fails=True),
        warm=False,
    )


@pytest.mark.parametrize(
    ("strategy", "leaf"), [("only-if-needed", "1.0"), ("eager", "2.0")], ids=["only-if-needed", "eager"]
)
def test_upgrade_strategies(twins: Twins, strategy: str, leaf: str) -> None:
    """-U replaces what was asked for, and what it requires only as the strategy says."""
    index = twins.server.index().add(wheel("demo", "1.0", "leaf"), wheel("demo", "2.0", "leaf"))
    index.add(wheel("leaf", "1.0"), wheel("leaf", "2.0"))
    twins.agree(
        pip("install", *index.args, "demo==1.0", "leaf==1.0"),
        pip("install", *index.args, "-U", "--upgrade-strategy", strategy, "demo"),
        installed={"demo": "2.0", "leaf": leaf},
    )


def test_installed_conflicts(twins: Twins) -> None:
    """A conflict with what is installed is reported after the install, and does not fail it."""
    index = twins.server.index().add(wheel("demo", "1.0", "leaf<2"), wheel("leaf", "1.0"), wheel("leaf", "2.0"))
    twins.agree(
        pip("install", *index.args, "demo"),
        pip("install", *index.args, "leaf==2.0"),
        pip("check", fails=True),
        says=("which is incompatible",),
        warm=False,
    )


def test_impossible(twins: Twins) -> None:
    """Requirements that exclude each other: pip's long explanation, and nothing installed."""
    index = twins.server.index().add(wheel("a", "1.0", "leaf<2"), wheel("b", "1.0", "leaf>=2"))
    index.add(wheel("leaf", "1.0"), wheel("leaf", "2.0"))
    twins.agree(
        pip("install", *index.args, "a", "b", fails=True),
        pip("install", *index.args, "a==9", fails=True),
        pip("install", *index.args, "nowhere", fails=True),
        warm=False,
    )


def test_backtracking(twins: Twins) -> None:
    """The resolver goes back through versions; those it tried and left are not installed."""
    index = twins.server.index(manners=Manners(core_metadata=False))
    index.add(*(wheel("demo", f"{number}.0", f"leaf=={number}.0") for number in range(1, 6)))
    index.add(*(wheel("leaf", f"{number}.0", "bottom<2" if number > 2 else "bottom") for number in range(1, 6)))
    index.add(wheel("bottom", "1.0"), wheel("bottom", "2.0"))
    twins.agree(
        pip("install", *index.args, "demo", "bottom>=2"), installed={"demo": "2.0", "leaf": "2.0", "bottom": "2.0"}
    )


def test_requirements_in_a_circle(twins: Twins) -> None:
    """Distributions that require each other are installed in pip's order."""
    index = twins.server.index().add(wheel("a", "1.0", "b"), wheel("b", "1.0", "c"), wheel("c", "1.0", "a", "d"))
    index.add(wheel("d"))
    twins.agree(pip("install", *index.args, "c", "a"), installed={"a": "1.0", "d": "1.0"})


def test_tags_and_build_numbers(twins: Twins) -> None:
    """The wheel with the better tag or the higher build number is chosen, those for other systems are not."""
    tags = {"any": "py3-none-any", "here": f"cp{sys.version_info.major}{sys.version_info.minor}-none-any"}
    index = twins.server.index()
    for kind, tag in tags.items():
        index.add(Wheel("demo", files={"demo.py": f"kind = {kind!r}"}, tag=tag).build())
    index.add(Wheel("demo", "2.0", tag="cp27-cp27m-win32").build())
    for number in ("1", "10", "9"):
        index.add(Wheel("built", files={"built.py": f"number = {number}"}, build_tag=number).build())
    twins.agree(pip("install", *index.args, "demo", "built"), installed={"demo": "1.0"})


def test_addresses_as_requirements(twins: Twins) -> None:
    """A wheel and a source distribution named by address leave direct_url.json, with and without a digest."""
    archive, source = wheel("demo", "1.0", "leaf"), sdist("source")
    first = twins.server.file(f"x/{archive.filename}", archive.data)
    second = twins.server.file(f"x/{source.filename}", source.data)
    index = twins.server.index().add(wheel("leaf"))
    twins.agree(
        pip("install", *index.args, f"demo @ {first}#sha256={archive.sha256}", second),
        pip("install", *index.args, "--force-reinstall", first),
        pip("install", *index.args, "--force-reinstall", f"{first}#sha256={'0' * 64}", fails=True),
        installed={"demo": "1.0", "source": "1.0"},
        inspect=True,
        more_requests=True,
    )


def test_a_dependency_by_address(twins: Twins) -> None:
    """A requirement of a wheel may be an address; it is taken before the index's own."""
    leaf = Wheel("leaf", files={"leaf.py": "origin = 'address'"}).build()
    address = twins.server.file(f"x/{leaf.filename}", leaf.data)
    index = twins.server.index().add(
        wheel("demo", "1.0", f"leaf @ {address}"), wheel("leaf"), wheel("leaf", "2.0")
    )
    twins.agree(pip("install", *index.args, "demo"), installed={"leaf": "1.0"})


def test_nothing_to_do(twins: Twins) -> None:
    """What is installed and fits is left as it is, and said so."""
    index = twins.server.index().add(wheel("demo", "1.0", "leaf"), wheel("leaf"), wheel("leaf", "2.0"))
    twins.agree(
        stock("install", *index.args, "demo", "leaf==1.0"),
        pip("install", *index.args, "demo"),
        pip("install", *index.args, "leaf"),
        says=("already satisfied",),
        warm=False,
    )


def test_only_the_source_has_the_requirement(twins: Twins) -> None:
    """What a source distribution requires is known when its backend has said so, and then fetched."""
    tree = source_tree("demo", "1.0", ["leaf[more]"], requires_python=">=3")
    index = twins.server.index().add(
        sdist_of("demo", "1.0", tree), Wheel("leaf", extras={"more": ["deep"]}).build()
    )
    index.add(sdist("deep", "1.0"))
    twins.agree(pip("install", *index.args, "demo"), installed={"demo": "1.0", "leaf": "1.0", "deep": "1.0"})
