"""Options from files, variables and requirements files, and pip's words about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.twin import pip
from support.wheels import sdist, wheel

if TYPE_CHECKING:
    from support.index import Index
    from support.twin import Twins


@pytest.fixture
def index(twins: Twins) -> Index:
    return twins.server.index().add(
        wheel("demo", "1.0", "leaf"),
        wheel("demo", "2.0rc1", "leaf"),
        wheel("leaf"),
        wheel("leaf", "0.5"),
        sdist("source"),
    )


def _expand(text: str, twins: Twins, index: Index) -> str:
    return text.replace("{index}", index.url).replace("{work}", str(twins.places.work))


CONFIG_FILES = {
    "index": "[global]\nindex-url = {index}\n",
    "install-section": "[global]\nindex-url = http://127.0.0.1:9/\n[install]\nindex-url = {index}\npre = true\n",
    "multi-line": "[global]\nindex-url = {index}\nconstraint =\n    c.txt\n[install]\nno-compile = yes\n",
    "quiet": "[global]\nindex-url = {index}\nquiet = 1\n",
    "target": "[install]\nindex-url = {index}\ntarget = {work}/placed\n",
    "format-control": "[install]\nindex-url = {index}\nno-binary = leaf\nfind-links = {work}\n",
    "broken": "[global\nindex-url\n",
    "bad-value": "[global]\nindex-url = {index}\ntimeout = soon\n",
    "bad-boolean": "[install]\nindex-url = {index}\nno-compile = perhaps\n",
    "unknown-option": "[global]\nindex-url = {index}\nno-such-option = 1\n",
}


@pytest.mark.parametrize("text", CONFIG_FILES.values(), ids=CONFIG_FILES)
def test_pip_conf(twins: Twins, index: Index, text: str) -> None:
    """The user's pip.conf says what pip reads in it, good and bad."""
    twins.write({".config/pip/pip.conf": _expand(text, twins, index)}, under="home")
    twins.write({"c.txt": "leaf<1\n"})
    twins.agree(pip("install", "demo", fails=None), environ={"PIP_CONFIG_FILE": ""}, warm=False)


def test_configuration_by_rank(twins: Twins, index: Index) -> None:
    """The user's file, a named one, variables and the command line overrule each other in pip's order."""
    twins.write({".config/pip/pip.conf": f"[install]\nindex-url = {index.url}\nno-deps = true\n"}, under="home")
    twins.write({"c.txt": "leaf>=0.5\n"})
    twins.write({"own.conf": f"[install]\nindex-url = {index.url}\nno-deps = false\npre = true\n"})
    twins.agree(
        pip("install", "demo", environ={"PIP_CONFIG_FILE": ""}),
        pip("install", "-U", "demo", environ={"PIP_CONFIG_FILE": "own.conf"}),
        pip(
            "install",
            "-U",
            "--no-deps",
            "leaf",
            environ={"PIP_CONFIG_FILE": "own.conf", "PIP_CONSTRAINT": "c.txt"},
        ),
        pip("config", "list", environ={"PIP_CONFIG_FILE": "own.conf"}),
        pip(
            "--isolated", "install", *index.args, "leaf<1", environ={"PIP_CONFIG_FILE": "own.conf", "PIP_PRE": "1"}
        ),
        installed={"demo": "2.0rc1", "leaf": "0.5"},
        warm=False,
    )


VARIABLES: dict[str, dict[str, str]] = {
    "extra-index": {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple/",
        "PIP_EXTRA_INDEX_URL": "{index}",
        "PIP_RETRIES": "0",
    },
    "two-lists": {"PIP_EXTRA_INDEX_URL": "{index} {index}", "PIP_NO_INDEX": "0"},
    "no-index": {"PIP_NO_INDEX": "1"},
    "pre": {"PIP_PRE": "1"},
    "constraint": {"PIP_CONSTRAINT": "c.txt"},
    "constraint-absent": {"PIP_CONSTRAINT": "absent.txt"},
    "no-deps": {"PIP_NO_DEPS": "yes"},
    "no-cache": {"PIP_NO_CACHE_DIR": "1"},
    "no-cache-off": {"PIP_NO_CACHE_DIR": "off"},
    "no-binary": {"PIP_NO_BINARY": "leaf"},
    "only-binary": {"PIP_ONLY_BINARY": ":all:"},
    "target": {"PIP_TARGET": "placed"},
    "no-compile": {"PIP_NO_COMPILE": "1"},
    "require-virtualenv": {"PIP_REQUIRE_VIRTUALENV": "1"},
    "quiet": {"PIP_QUIET": "2"},
    "progress": {"PIP_PROGRESS_BAR": "off"},
    "report": {"PIP_REPORT": "report.json"},
    "log": {"PIP_LOG": "pip.log"},
    "require-hashes": {"PIP_REQUIRE_HASHES": "1"},
    "bad-number": {"PIP_TIMEOUT": "soon"},
    "bad-choice": {"PIP_PROGRESS_BAR": "sideways"},
    "bad-boolean": {"PIP_NO_DEPS": "perhaps"},
    "python": {"PIP_PYTHON": "{work}/no-python"},
    "requirement": {"PIP_REQUIREMENT": "r.txt"},
}


@pytest.mark.parametrize("variables", VARIABLES.values(), ids=VARIABLES)
def test_variables(twins: Twins, index: Index, variables: dict[str, str]) -> None:
    """A PIP_* variable of every kind counts as it does with pip, right or wrong."""
    twins.write({"c.txt": "leaf<1\n", "r.txt": "source\n"})
    environ = {name: _expand(value, twins, index) for name, value in variables.items()}
    twins.agree(pip("install", "demo", fails=None), environ={"PIP_INDEX_URL": index.url, **environ}, warm=False)


REQUIREMENTS = {
    "options": "--index-url {index}\n--pre\ndemo\n--no-binary source\nsource\n",
    "nested": "--index-url {index}\n-r deeper/more.txt\n-c deeper/c.txt\n",
    "comments-and-continuations": (
        "--index-url {index}  # where\ndemo \\\n  ==1.0 # which\n\n# nothing\nleaf;python_version>'3'\n"
    ),
    "variables": "--index-url ${INDEX}\ndemo\n",
    "per-requirement": "--index-url {index}\nsource --config-settings=a=b\ndemo --global-option=x\n",
    "editable": "--index-url {index}\n-e .\n",
    "bad-option": "--index-url {index}\n--no-such-option\ndemo\n",
    "bad-line": "--index-url {index}\ndemo ==\n",
    "bad-nested": "-r absent.txt\n",
    "empty": "# nothing\n",
    "twice": "--index-url {index}\ndemo==1.0\ndemo==2.0rc1\n",
    "twice-the-same": "--index-url {index}\ndemo==1.0\nleaf\ndemo==1.0\n",
    "itself": "--index-url {index}\n-r r.txt\ndemo\n",
    "bom": "\ufeff--index-url {index}\ndemo\n",
    "address": "--index-url {index}\ndemo @ {index}../files/demo-1.0-py3-none-any.whl\n",
    "trusted-and-links": "--index-url {index}\n--trusted-host 127.0.0.1\n--find-links .\n--prefer-binary\ndemo\n",
    "feature": "--index-url {index}\n--use-feature=fast-deps\ndemo\n",
}


@pytest.mark.parametrize("text", REQUIREMENTS.values(), ids=REQUIREMENTS)
def test_requirements_files(twins: Twins, index: Index, text: str) -> None:
    """A requirements file with whatever can stand in one."""
    files = {"r.txt": text, "deeper/more.txt": "demo\n-r leaves.txt\n", "deeper/leaves.txt": "leaf\n"}
    twins.write({path: _expand(content, twins, index) for path, content in files.items()})
    twins.write({"deeper/c.txt": "leaf<1\n"})
    twins.agree(pip("install", "-r", "r.txt", fails=None), environ={"INDEX": index.url}, warm=False)


def test_requirements_from_an_address(twins: Twins, index: Index) -> None:
    """Requirements and constraints by address, with relative files beside them; one that is 404."""
    twins.server.file("lists/more.txt", "leaf\n-c c.txt\n")
    twins.server.file("lists/c.txt", "leaf<1\n")
    address = twins.server.file("lists/r.txt", f"--index-url {index.url}\ndemo\n-r more.txt\n")
    twins.agree(
        pip("install", "-r", address),
        pip("install", "-r", f"{address}.absent", fails=True),
        installed={"demo": "1.0", "leaf": "0.5"},
        more_requests=True,
    )


def test_dependency_groups(twins: Twins, index: Index) -> None:
    """--group reads pyproject.toml, where there is such an option."""
    twins.write(
        {"pyproject.toml": '[dependency-groups]\nall = ["demo", {include-group = "few"}]\nfew = ["source"]\n'}
    )
    twins.agree(pip("install", *index.args, "--group", "all", fails=None), warm=False)


def test_newer_pip_notice(twins: Twins, index: Index) -> None:
    """The notice about a newer pip comes when pip would look for it, once."""
    index.add(wheel("pip", "99.9"))
    twins.agree(
        pip("install", *index.args, "demo"),
        pip("install", *index.args, "--force-reinstall", "demo"),
        environ={"PIP_DISABLE_PIP_VERSION_CHECK": ""},
        more_requests=True,
    )


def test_a_cache_of_somebody_else(twins: Twins, index: Index) -> None:
    """A cache folder that cannot be used is warned about as pip does, and the install goes on."""
    twins.write({"file": "in the way"})
    twins.agree(
        pip("install", *index.args, "demo", "--cache-dir", "file/cache", fails=None), notes=True, warm=False
    )
