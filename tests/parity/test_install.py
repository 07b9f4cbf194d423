"""Files that an install leaves in the environment, with each option."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.environments import Kind
from support.index import Manners
from support.twin import pip, python
from support.wheels import Wheel, sdist, wheel

if TYPE_CHECKING:
    from support.environments import Places
    from support.index import Index
    from support.twin import Twins
    from support.wheels import Archive

FULL = Wheel(
    "full",
    "1.0",
    ["leaf"],
    files={
        "full/__init__.py": "def main():\n    print('full')\n",
        "full/deep/er/module.py": "x = 1\n",
        "full/data.txt": "data\n",
        "full/empty": "",
        "full/run.sh": "#!/bin/sh\n",
        "full_top.py": "y = 2\n",
    },
    data={
        "scripts/full-script": "#!python\nimport full\nfull.main()\n",
        "scripts/full-windowed": "#!pythonw\nimport full\n",
        "scripts/full-shell": "#!/bin/sh\necho full\n",
        "data/share/full/notes.txt": "notes\n",
        "data/etc/full.conf": "a=1\n",
        "headers/full.h": "int full;\n",
        "purelib/full_pure.py": "z = 3\n",
        "platlib/full_plat.py": "w = 4\n",
    },
    console={"full": "full:main", "full.dotted-name": "full:main"},
    gui={"full-gui": "full:main"},
    modes={
        "full/run.sh": 0o755,
        "scripts/full-script": 0o755,
        "full/data.txt": 0o600,
        "scripts/full-shell": 0o755,
    },
    dist_info={"licenses/LICENSE": "free\n"},
).build()
"""A wheel with something for every scheme, scripts of every kind, and modes."""

FULL_2 = Wheel("full", "2.0", files={"full/__init__.py": "def main(): pass\n", "full/new.py": ""}).build()
LEAF = Wheel("leaf", console={"leaf": "leaf:main"}).build()


@pytest.fixture
def index(twins: Twins) -> Index:
    return twins.server.index().add(FULL, FULL_2, LEAF)


def test_everything_a_wheel_can_hold(twins: Twins, index: Index) -> None:
    """Schemes, scripts, entry points, modes: each at its place, RECORD and all; and the scripts run."""
    twins.agree(
        pip("install", *index.args, "full==1.0"),
        python("-c", "import subprocess, sys; subprocess.run([sys.prefix + '/bin/full-script'], check=True)"),
        pip("show", "--files", "full"),
        installed={"full": "1.0", "leaf": "1.0"},
        inspect=True,
    )


def test_upgrade_downgrade_uninstall(twins: Twins, index: Index) -> None:
    """What an upgrade replaces and an uninstall removes is the same, folder by folder."""
    twins.agree(
        pip("install", *index.args, "full==1.0"),
        pip("install", *index.args, "--upgrade", "full"),
        pip("install", *index.args, "full<2"),
        pip("uninstall", "-y", "full"),
        installed={"full": None, "leaf": "1.0"},
    )


def test_what_stock_pip_installed_is_ours_to_replace(twins: Twins, index: Index) -> None:
    """Environments change hands: stock pip's installs are upgraded by pipfast, and the reverse."""
    twins.agree(
        pip("install", *index.args, "full==1.0", environ={"PIPFAST": "off"}),
        pip("install", *index.args, "full==2.0"),
        pip("install", *index.args, "full==1.0", environ={"PIPFAST": "off"}),
        warm=False,
    )


OPTIONS: dict[str, list[str]] = {
    "no-compile": ["--no-compile"],
    "no-deps": ["--no-deps"],
    "no-warn-script-location": ["--no-warn-script-location"],
    "ignore-installed": ["--ignore-installed"],
    "prefix": ["--prefix", "placed"],
    "prefix-no-warn": ["--prefix", "placed", "--no-warn-script-location"],
    "root": ["--root", "placed"],
    "root-and-prefix": ["--root", "placed", "--prefix", "/opt/x"],
    "target": ["--target", "placed"],
    "target-no-compile": ["--target", "placed", "--no-compile", "-q"],
    "no-cache-dir": ["--no-cache-dir"],
    "root-user-action": ["--root-user-action", "ignore"],
    "no-clean": ["--no-clean"],
    "check-build-dependencies": ["--check-build-dependencies"],
    "no-conflicts": ["--no-warn-conflicts"],
    "fast-deps": ["--use-feature", "fast-deps"],
    "isolated": ["--isolated"],
    "dry-run": ["--dry-run"],
    "q": ["-q"],
    "qq": ["-qq"],
    "qqq": ["-qqq"],
    "v": ["-v"],
    "log": ["--log", "pip.log"],
    "report": ["--report", "report.json"],
    "report-to-stdout": ["--quiet", "--report", "-"],
    "dry-run-report": ["--dry-run", "--ignore-installed", "--report", "report.json"],
    "no-color": ["--no-color"],
    "python-version": ["--python-version", "3.12", "--only-binary", ":all:", "--target", "placed"],
    "platform": ["--platform", "win_amd64", "--only-binary", ":all:", "--target", "placed"],
    "user-in-a-venv": ["--user"],
    "target-and-user": ["--target", "placed", "--user"],
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options_of_install(twins: Twins, index: Index, options: list[str]) -> None:
    """An option of install changes the result as it does with pip."""
    index.add(sdist("source"))
    twins.agree(pip("install", *index.args, *options, "full==1.0", "source", fails=None), warm=False)


def test_target_that_exists(twins: Twins, index: Index) -> None:
    """--target warns about what is there already, and replaces it with --upgrade."""
    twins.agree(
        pip("install", *index.args, "--target", "placed", "full==1.0"),
        pip("install", *index.args, "--target", "placed", "full==2.0"),
        pip("install", *index.args, "--target", "placed", "--upgrade", "full==2.0"),
        says=("already exists",),
    )


def test_force_reinstall(twins: Twins, index: Index) -> None:
    """A file that was edited or removed is as the wheel has it after --force-reinstall."""
    edit = (
        "import full, pathlib; p = pathlib.Path(full.__file__); p.write_text('edited = 1'); "
        "(p.parent / 'data.txt').unlink()"
    )
    twins.agree(
        pip("install", *index.args, "full==1.0"),
        python("-c", edit),
        pip("install", *index.args, "--force-reinstall", "full==1.0"),
        notes=True,
    )


def test_an_edit_in_place_does_not_spread(twins: Twins, index: Index) -> None:
    """What somebody appends to an installed file is not in the next environment."""
    edit = "import full; open(full.__file__, 'a').write('edited = 1')"
    twins.agree(pip("install", *index.args, "full==1.0"), python("-c", edit), notes=True)


@pytest.mark.parametrize("umask", [0o077, 0o002, 0o022], ids=oct)
def test_umask(twins: Twins, index: Index, umask: int) -> None:
    """The modes are those of the umask the command runs with."""
    twins.agree(pip("install", *index.args, "full==1.0"), umask=umask, uninstall=False)


@pytest.mark.parametrize(
    "environ",
    [
        {"SOURCE_DATE_EPOCH": "1580608922"},
        {"PYTHONDONTWRITEBYTECODE": "1"},
        {"PYTHONOPTIMIZE": "1"},
        {"PYTHONOPTIMIZE": "2"},
        {"PIPFAST": "off"},
        {"PIPFAST_DISABLE": "downloads"},
        {"PIPFAST_DISABLE": "install"},
        {"PIPFAST_DISABLE": "downloads,install"},
        {"PIPFAST_LINK_MODE": "copy"},
        {"PIPFAST_LINK_MODE": "hardlink"},
        {"PIPFAST_CONNECTIONS": "1", "PIPFAST_WORKERS": "1"},
        {"PYTHONUTF8": "1", "LC_ALL": "C"},
        {"PYTHONWARNINGS": "error::UserWarning"},
        {"PYTHONDEVMODE": "1"},
        {"NO_COLOR": "1"},
        {"FORCE_COLOR": "1"},
    ],
    ids=lambda environ: ",".join(f"{name}={value}" for name, value in environ.items()),
)
def test_environment_variables(twins: Twins, index: Index, environ: dict[str, str]) -> None:
    """A variable that changes what pip or the interpreter writes changes it here too; our own change nothing."""
    twins.agree(pip("install", *index.args, "full==1.0", fails=None), environ=environ, warm=False)


def test_bytecode_kept_elsewhere(twins: Twins, index: Index) -> None:
    """PYTHONPYCACHEPREFIX keeps bytecode out of the environment, and RECORD says where it is."""
    elsewhere = {"PYTHONPYCACHEPREFIX": str(twins.places.base / "bytecode")}
    twins.agree(pip("install", *index.args, "full==1.0"), environ=elsewhere, uninstall=False)


def test_bytecode_of_one_kind_after_another(twins: Twins, index: Index) -> None:
    """The store serves plain, optimised and hash-checked bytecode to those who need each."""
    force = ("install", *index.args, "--force-reinstall", "--no-deps", "full==1.0")
    twins.agree(
        pip(*force),
        pip(*force, environ={"SOURCE_DATE_EPOCH": "1580608922"}),
        pip(*force, environ={"PYTHONOPTIMIZE": "2"}),
        pip(*force, "--no-compile"),
        pip(*force),
    )


@pytest.mark.parametrize("setting", ["PYTHONNODEBUGRANGES=1", "PYTHONINTMAXSTRDIGITS=640", "PYTHONOPTIMIZE=3"])
def test_bytecode_that_a_setting_changes(twins: Twins, setting: str) -> None:
    """Without columns, without sources whose numbers are too long, under another name: as pip compiles it."""
    index = twins.server.index()
    files = {"demo/__init__.py": "def f(a):\n    return a.b\n", "demo/long.py": f"x = {'1' * 1000}\n"}
    index.add(Wheel("demo", files=files).build())
    force = pip("install", *index.args, "--force-reinstall", "demo")
    name, _, value = setting.partition("=")
    # The store has the usual kind by then.
    twins.agree(force, replace(force, environ={name: value}), warm=False)


def test_user_site(twins: Twins, index: Index) -> None:
    """--user puts everything under the user's base, and is uninstalled from there."""
    twins.agree(
        pip("install", *index.args, "--user", "full==1.0"),
        pip("install", *index.args, "--user", "full==2.0"),
        pip("list", "--user"),
        pip("uninstall", "-y", "full"),
        kind=Kind.BARE,
        says=("not on PATH",),
    )


def test_user_site_from_a_venv_that_sees_it(twins: Twins, index: Index) -> None:
    """A virtual environment with system site packages may install for the user."""

    def open_up(places: Places) -> None:
        settings = places.env / "pyvenv.cfg"
        text = settings.read_text("utf-8")
        settings.write_text(text.replace("packages = false", "packages = true"), "utf-8")

    twins.agree(pip("install", *index.args, "--user", "full==1.0"), prepare=open_up)


def test_not_writable(twins: Twins, index: Index) -> None:
    """An interpreter's own prefix takes an install as a virtual environment does."""
    twins.agree(pip("install", *index.args, "full==1.0"), kind=Kind.BARE)


def test_externally_managed(twins: Twins, index: Index) -> None:
    """PEP 668: refused with the distributor's words, for uninstall too, unless the user insists."""

    def manage(places: Places) -> None:
        text = "[externally-managed]\nError=This is the distributor's.\n Use something else.\n"
        (places.stdlib / "EXTERNALLY-MANAGED").write_text(text, "utf-8")

    twins.agree(
        pip("install", *index.args, "full", fails=True),
        pip("install", *index.args, "--user", "full", fails=True),
        pip("install", *index.args, "--target", "placed", "leaf"),
        pip("install", *index.args, "--break-system-packages", "full==1.0"),
        pip("uninstall", "-y", "leaf", fails=True),
        kind=Kind.BARE,
        prepare=manage,
        uninstall=False,
        says=("the distributor's",),
        warm=False,
    )


def _pip_as_wheel(version: str) -> Archive:
    """Return the pip that runs as a wheel, under another version."""
    distribution = importlib.metadata.distribution("pip")
    files = {
        str(file): file.read_binary()
        for file in distribution.files or []
        # virtualenv's RECORD names the folders of bytecode, too.
        if file.parts[0] == "pip" and file.suffix != ".pyc" and Path(str(file.locate())).is_file()
    }
    console = {"pip": "pip._internal.cli.main:main"}
    return Wheel("pip", version, files=files, console=console, compression=0).build()


def test_pip_itself(twins: Twins) -> None:
    """An upgrade of the pip that runs, alone and with others, works and leaves a working pip."""
    index = twins.server.index().add(_pip_as_wheel("99.0"), wheel("demo", "1.0", "pip>=99"))
    twins.agree(
        pip("install", *index.args, "--upgrade", "pip"),
        pip("list"),
        pip("install", *index.args, "demo", "--no-deps"),
        uninstall=False,
        installed={"pip": "99.0", "demo": "1.0"},
        stock_once=True,
    )


def test_pip_as_a_requirement(twins: Twins) -> None:
    """A requirement on pip that the installed one meets leaves it alone; one that it does not meet replaces it."""
    index = twins.server.index().add(
        _pip_as_wheel("99.0"), wheel("demo", "1.0", "pip"), wheel("new", "1.0", "pip>=99")
    )
    twins.agree(
        pip("install", *index.args, "demo"),
        pip("install", *index.args, "new", "demo"),
        uninstall=False,
        installed={"pip": "99.0"},
        warm=False,
    )


def test_pins_of_what_pipfast_brings_with_it(twins: Twins) -> None:
    """Old and broken distributions of those names are installed, frozen, checked and removed as any other."""
    pins = {"wrapt": "1.14.1", "packaging": "20.9", "platformdirs": "2.6", "isal": "0.1"}
    old = [Wheel(name, version, files={f"{name}/__init__.py": "raise SystemError('old')\n"}).build()
           for name, version in pins.items()]
    user = Wheel("tensors", requires=["wrapt<1.15", "packaging<21", "platformdirs", "isal"]).build()
    index = twins.server.index().add(user, *old, *(wheel(name, "99.0") for name in ("wrapt", "packaging")))
    twins.write({"r.txt": "wrapt\npackaging\n"})
    twins.agree(
        pip("install", *index.args, "tensors"),
        pip("freeze"),
        pip("list"),
        pip("check"),
        pip("uninstall", "-y", "-r", "r.txt"),
        pip("check", fails=True),
        pip("install", *index.args, "--upgrade", "wrapt", "packaging", fails=None),
        installed=pins | {"wrapt": "99.0", "packaging": "99.0"},
        uninstall=False,
        warm=False,
    )


def test_two_wheels_with_the_same_file(twins: Twins) -> None:
    """Of files that two wheels share the later install wins, and uninstalling one takes them away."""
    shared = {"shared/__init__.py": "", "shared/who.py": "name = 'one'"}
    one = Wheel(
        "one", requires=["two"], files={**shared, "shared/one.py": ""}, console={"who": "shared:a"}
    ).build()
    two = Wheel("two", files={**shared, "shared/who.py": "name = 'two'"}, console={"who": "shared:b"}).build()
    index = twins.server.index().add(one, two)
    twins.agree(
        pip("install", *index.args, "one"),
        pip("uninstall", "-y", "two"),
        pip("install", *index.args, "--force-reinstall", "two"),
    )


def test_namespace_packages(twins: Twins) -> None:
    """Distributions that fill one folder are installed beside each other and leave one by one."""
    parts = [Wheel(f"part{n}", files={f"space/part{n}/__init__.py": f"n = {n}"}).build() for n in range(4)]
    index = twins.server.index().add(*parts)
    twins.agree(
        pip("install", *index.args, "part0", "part1", "part2", "part3"),
        pip("uninstall", "-y", "part1", "part3"),
        python("-c", "import space.part0, space.part2"),
    )


@pytest.mark.parametrize(
    "what", ["a file for the folder", "a folder for a file", "a folder for a module", "a folder for data"]
)
def test_something_else_stands_in_the_place_of_files(twins: Twins, what: str) -> None:
    """Bytecode that cannot be written is not missed by pip; a module is."""

    def plant(places: Places) -> None:
        package = places.site_packages / "full"
        cache = package / "__pycache__"
        package.mkdir()
        if what == "a file for the folder":
            cache.write_text("mine\n", encoding="utf-8")
        elif what == "a folder for a file":
            (cache / Path(importlib.util.cache_from_source("__init__.py")).name).mkdir(parents=True)
        else:
            (package / ("__init__.py" if what == "a folder for a module" else "data.txt")).mkdir()

    index = twins.server.index().add(FULL, LEAF)
    twins.agree(pip("install", *index.args, "full", fails=None), prepare=plant, uninstall=False)


@pytest.mark.parametrize("mode", ["auto", "copy"])
@pytest.mark.parametrize("to", ["new", "old"])
def test_symbolic_links_in_the_place_of_files(twins: Twins, to: str, mode: str) -> None:
    """pip writes through those that lead nowhere, replaces the others, and compiles through none."""

    def plant(places: Places) -> None:
        aside = places.env / "aside"
        aside.mkdir()
        (aside / "old").write_text("mine\n", encoding="utf-8")
        package = places.site_packages / "full"
        bytecode = Path(importlib.util.cache_from_source(package / "__init__.py"))
        bytecode.parent.mkdir(parents=True)
        for link in (package / "data.txt", places.env / "bin" / "full-script", bytecode):
            link.symlink_to(aside / to)

    index = twins.server.index().add(FULL, LEAF)
    twins.agree(
        pip("install", *index.args, "full"), prepare=plant, environ={"PIPFAST_LINK_MODE": mode},
    )


def test_scripts_on_and_off_the_path(twins: Twins) -> None:
    """The warning about scripts names those that are not on PATH, grouped by folder."""
    many = Wheel("many", console={f"tool{n}": "many:f" for n in range(3)}, gui={"window": "many:g"}).build()
    index = twins.server.index().add(many, LEAF)
    path = f"{twins.places.user_base}/bin:~/bin:/usr/bin:/bin"
    again = ("install", *index.args, "--user", "--force-reinstall")
    twins.agree(
        pip("install", *index.args, "--user", "many", "leaf"),
        pip(*again, "many", environ={"PATH": path}),
        pip(*again, "leaf", environ={"PATH": "~/bin:/usr/bin:/bin"}),
        kind=Kind.BARE,
        says=("tool0, tool1 and tool2",),
        warm=False,
    )


@pytest.mark.parametrize("name", ["", "..", "a:b c", "-x", "full"])
def test_bad_entry_points(twins: Twins, name: str) -> None:
    """Entry points that make no script are refused with pip's words."""
    bad = Wheel("bad", dist_info={"entry_points.txt": f"[console_scripts]\nok = bad:f\n{name} = bad\n"}).build()
    index = twins.server.index().add(wheel("good"), bad)
    twins.agree(pip("install", *index.args, "good", "bad", fails=None), warm=False)


def test_downloads_without_core_metadata(twins: Twins) -> None:
    """Where the resolver must fetch whole archives, what is installed is the same."""
    index = twins.server.index(manners=Manners(core_metadata=False)).add(FULL, LEAF)
    twins.agree(pip("install", *index.args, "full"), inspect=True)


def test_many(twins: Twins) -> None:
    """Sixty distributions at once come in pip's order, each with its REQUESTED or without.

    They are named one by one: pip 23.0 on Python 3.10 takes the dependencies of one distribution in the
    order of a set of objects, another in each run.
    """
    names = [f"many{number:02}" for number in range(60)]
    index = twins.server.index().add(wheel("demo", "1.0", names[0]), *map(wheel, names))
    twins.agree(pip("install", *index.args, *names[1:], "demo"), inspect=True)
