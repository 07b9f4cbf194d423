"""Where pip is not as expected, or we fail, pip's own code runs and the command succeeds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.program import add_shim
from support.sources import backend, built_with
from support.wheels import Wheel

if TYPE_CHECKING:
    from support.program import Box

DRIVER = """
import contextlib, json, os, sys
from pipfast.settings import Settings
from pipfast_hooks import pip_main
hooks = pip_main.hook(Settings.from_environ(os.environ), contextlib.ExitStack())
status = pip_main.run_pip(json.loads(sys.argv[1]))
for each in hooks.states:
    sys.stderr.write("STATE " + json.dumps([each.seam.label, each.state]) + "\\n")
sys.exit(status)
"""
"""pipfast's own way through a command, and what has become of the seams at its end."""

PIP_IMPORTS = """
import pip._internal.commands.install
import pip._internal.network.auth as auth
import pip._internal.network.download as download
import pip._internal.operations.install.wheel as wheel
import pip._internal.req.req_install as req_install
"""

INSTALL = "pip._internal.operations.install.wheel.install_wheel"
INSTALL_BOUND = "pip._internal.req.req_install.install_wheel"
DOWNLOAD = "pip._internal.network.download.Downloader.__call__"
AUTH = "pip._internal.network.auth.MultiDomainBasicAuth._prompt_for_password"


def install(box: Box, index_url: str) -> dict[str, str]:
    """Install under the hooks; return the state of each seam at the end."""
    arguments = json.dumps(["install", "--index-url", index_url, "seamless"])
    ended = box.run("-c", DRIVER, arguments, PIPFAST_LINK_MODE="hardlink")
    assert ended.status == 0, ended.err
    assert "Successfully installed" in ended.out
    assert {"seamless", "needed"} <= set(box.installed())
    assert box.run("-c", "import seamless, needed").status == 0
    lines = [line[6:] for line in ended.err.splitlines() if line.startswith("STATE ")]
    return dict(json.loads(line) for line in lines)


def is_linked(box: Box) -> bool:
    """Tell whether the installed files are links to the store's, which pip's own never are."""
    return (box.site_packages / "seamless" / "__init__.py").stat().st_nlink > 1


def test_install_with_every_seam(box: Box, index_url: str) -> None:
    """What the other tests compare with: all seams are attached and the store is filled."""
    states = install(box, index_url)
    assert "stock" not in states.values()
    assert {entry.partition("/")[0] for entry in box.entries()} == {
        "answers-v0", "archives-v0", "trees-v1", "bytecode-v1", "pages-v0",
    }
    assert is_linked(box)


RENAMED_PARAMETER = """
def install_wheel(name, wheel_file=None, *args, wheel_path=None, **kwargs):
    return original(name, wheel_file or wheel_path, *args, **kwargs)
"""

ADDED_PARAMETER = """
def install_wheel(name, wheel_path, scheme, req_description, pycompile=True, warn_script_location=True,
                  direct_url=None, requested=False, mirror=None, **kwargs):
    return original(name, wheel_path, scheme, req_description, pycompile, warn_script_location, direct_url,
                    requested, **kwargs)
"""


UNREADABLE = """
import sys
class Unreadable:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "pip._internal.operations.install.wheel":
            raise SyntaxError("half of it is missing")
sys.meta_path.insert(0, Unreadable)
"""


@pytest.mark.parametrize("change", [RENAMED_PARAMETER, ADDED_PARAMETER], ids=["renamed", "added"])
def test_function_of_another_shape_stays_stock(box: Box, index_url: str, change: str) -> None:
    """pip's own installation runs where the function that installs takes other parameters."""
    add_shim(box, f"""{PIP_IMPORTS}
original = wheel.install_wheel
{change}
wheel.install_wheel = install_wheel
if hasattr(req_install, "install_wheel"):
    req_install.install_wheel = install_wheel
""")
    states = install(box, index_url)
    assert states[INSTALL] == "stock"
    assert states.get(INSTALL_BOUND, "stock") == "stock"
    assert states[DOWNLOAD] == "attached"
    assert not is_linked(box)


def test_missing_name_takes_those_that_lean_on_it_along(box: Box, index_url: str) -> None:
    """Without a name that the installation calls, no installation is ours, in whatever module it is bound."""
    add_shim(box, PIP_IMPORTS + """
import builtins
builtins.message_about_scripts_not_on_PATH = vars(wheel).pop("message_about_scripts_not_on_PATH")
""")
    states = install(box, index_url)
    assert states["pip._internal.operations.install.wheel.message_about_scripts_not_on_PATH"] == "stock"
    assert states[INSTALL] == "stock"
    assert states.get(INSTALL_BOUND, "stock") == "stock"
    assert not is_linked(box)


def test_no_worker_downloads_where_it_could_ask_for_a_password(box: Box, index_url: str) -> None:
    """Where the prompt cannot be kept off the workers, there are none."""
    add_shim(box, PIP_IMPORTS + """
own = auth.MultiDomainBasicAuth._prompt_for_password
auth.MultiDomainBasicAuth._prompt_for_password = lambda self, netloc, again=False: own(self, netloc)
""")
    states = install(box, index_url)
    assert states[AUTH] == "stock"
    downloads = {label: state for label, state in states.items() if ".download.Down" in label}
    assert set(downloads.values()) == {"stock"}


def test_newer_pip_than_any_tested_installs_by_itself(box: Box, index_url: str) -> None:
    """No writing seam is attached to a pip nobody has tried; the command works."""
    add_shim(box, "import pip\npip.__version__ = '99.0'\n")
    states = install(box, index_url)
    assert states[INSTALL] == "stock"
    assert not is_linked(box)
    assert not [entry for entry in box.entries() if entry.startswith("bytecode")]


@pytest.mark.parametrize("shim, why", [
    ("import pip\npip.__version__ = '99.0'\n", "this pip is newer than "),
    (f"{PIP_IMPORTS}\noriginal = wheel.install_wheel\n{ADDED_PARAMETER}\nwheel.install_wheel = install_wheel\n",
     "the function that does it is not as pipfast knows it"),
    # Before 26.2 pip's other modules import it, so that nothing of the family is attached.
    (UNREADABLE, ""),
], ids=["newer", "of another shape", "damaged"])
def test_doctor_promises_no_links_where_pip_installs(box: Box, shim: str, why: str) -> None:
    """Whatever stands in the files of pip, it ends with a page, which says why."""
    assert "hard links into " in box.pipfast("doctor", PIPFAST_LINK_MODE="hardlink").out
    add_shim(box, shim)
    ended = box.pipfast("doctor", PIPFAST_LINK_MODE="hardlink")
    assert (ended.status, ended.err) == (1, "")
    assert f"  install      left to pip{': ' * bool(why)}{why}" in ended.out
    assert "  installs     as pip alone does into " in ended.out and f"site-packages ({why}" in ended.out


def test_older_pip_than_any_tested_is_let_alone(box: Box, index_url: str) -> None:
    """Nothing at all is attached below the oldest pip."""
    add_shim(box, "import pip\npip.__version__ = '22.3.1'\n")
    assert set(install(box, index_url).values()) <= {"stock"}
    assert not box.entries()


def test_what_installs_is_imported_before_it_is_blocked(box: Box, index_url: str) -> None:
    """Where nothing of ours is asked after the resolver, and from pip 26.3 on nothing can be imported then."""
    add_shim(box, PIP_IMPORTS + """
from pip._internal.resolution.resolvelib.resolver import Resolver
own = Resolver.get_installation_order
Resolver.get_installation_order = lambda self, req_set, more=None: own(self, req_set)
""")
    states = install(box, index_url)
    assert states["pip._internal.resolution.resolvelib.resolver.Resolver.get_installation_order"] == "stock"
    assert is_linked(box)


def test_pages_are_pips_own_where_they_are_fetched_otherwise(box: Box, index_url: str) -> None:
    """The function that evaluates a page calls one of another module, which is gone."""
    add_shim(box, PIP_IMPORTS + """
from pip._internal.index.collector import LinkCollector
LinkCollector.get_page = LinkCollector.fetch_response
del LinkCollector.fetch_response
LinkCollector.__getattr__ = lambda self, name: self.get_page if name == "fetch_response" else getattr(self, "_")
""")
    states = install(box, index_url)
    assert states["pip._internal.index.package_finder.PackageFinder.process_project_url"] == "stock"
    assert is_linked(box)


@pytest.mark.once
@pytest.mark.parametrize("module, name", [
    ("pip._vendor.pyproject_hooks._impl", "BuildBackendHookCaller._call_hook"),
    ("pip._internal.operations.build.metadata", "runner_with_spinner_message"),
    ("pip._internal.operations.build.wheel", "runner_with_spinner_message"),
])
def test_no_build_beside_pip_where_its_hooks_are_pips_own(box: Box, module: str, name: str) -> None:
    """Nobody would fill the environment that waits for a hook's result."""
    add_shim(box, f"""
import importlib
parent = importlib.import_module({module!r})
*path, name = {name!r}.split(".")
for part in path:
    parent = getattr(parent, part)
own = getattr(parent, name)
setattr(parent, name, lambda *things, **named: own(*things, **named))
""")
    with serving() as server:
        index = server.index().add(
            backend(), Wheel("demo").build(), *(built_with("maker", each, scripts={}) for each in ("made", "own")),
        )
        ended = box.pipfast("install", *index.args, "demo", "made", "own")
    assert (ended.status, ended.err) == (0, "")
    assert {"demo", "made", "own"} <= set(box.installed())


@pytest.mark.parametrize("module, name", [
    ("pipfast_hooks.install.wheel", "get_ready"),
    ("pipfast_hooks.downloads.connections", "Connections.__init__"),
    ("pipfast_hooks.downloads.connections", "Connections.begin"),
    ("pipfast_hooks.downloads.connections", "Connections.finish"),
    ("pipfast_hooks.downloads.connections", "Connections._arrived"),
    ("pipfast_hooks.downloads.connections", "tell"),
    ("pipfast_hooks.storage", "Store._open"),
    ("pipfast_hooks.storage", "Store.preparer"),
    ("pipfast_hooks.storage", "Store.known"),
    ("pipfast_hooks.run", "Run.close"),
    ("pipfast.prepare.preparer", "Preparer.start"),
    ("pipfast.prepare.preparer", "Preparer.wait"),
    ("pipfast.store.archives", "find_archive"),
    ("pipfast.store.archives", "add_archive"),
    ("pipfast.prepare.workers", "Workers.put"),
    ("pipfast.fetch.pool", "DownloadPool.submit"),
])
def test_error_of_ours_before_any_side_effect_is_pips_success(
    box: Box, index_url: str, module: str, name: str
) -> None:
    """Whatever breaks in our own code before it has written anything, pip does the work and says so."""
    add_shim(box, f"""
import wrapt
def fail(*args, **kwargs):
    raise RuntimeError("broken for the test")
@wrapt.when_imported({module!r})
def break_it(module):
    parent, attribute, _ = wrapt.resolve_path(module, {name!r})
    setattr(parent, attribute, fail)
""")
    log = box.root / "log"
    ended = box.pipfast("install", "--index-url", index_url, "--log", str(log), "seamless")
    assert ended.status == 0, ended.err
    assert ended.err == ""
    assert {"seamless", "needed"} <= set(box.installed())
    assert "broken for the test" in log.read_text(encoding="utf-8")
    assert box.leftovers() == []
    assert box.broken_entries() == []


def test_error_while_attaching_leaves_pip_alone(box: Box, index_url: str) -> None:
    """Hooks that cannot be made are one message; pip runs."""
    add_shim(box, """
import wrapt
@wrapt.when_imported("pipfast_hooks.attach")
def break_it(module):
    module.Hooks.apply = lambda self: 1 / 0
""")
    ended = box.pipfast("install", "--index-url", index_url, "seamless")
    assert ended.status == 0
    assert ended.err.count("pipfast: ") == 1
    assert "hint: " in ended.err
    assert {"seamless", "needed"} <= set(box.installed())


@pytest.mark.parametrize("name, module", [
    ("nothing", "pip._internal.operations.install.wheel"), ("FilesystemWheel._nothing", "pip._internal.metadata"),
])
def test_missing_name_that_is_only_read_leaves_its_family_to_pip(
    box: Box, index_url: str, name: str, module: str
) -> None:
    """All seams of the family stay stock, in whatever module they are; the others are attached."""
    add_shim(box, f"""
import wrapt
@wrapt.when_imported("pipfast_hooks.names")
def add_a_row(names):
    names.NAMES += (names.Names({module!r}, ({name!r},), ("install",)),)
""")
    states = install(box, index_url)
    assert states[INSTALL] == "stock"
    assert states.get(INSTALL_BOUND, "stock") == "stock"
    assert states[DOWNLOAD] == "attached"
    assert not is_linked(box)
