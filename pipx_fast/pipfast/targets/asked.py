"""pip's ``--python``, ``PIP_PYTHON`` and ``python =`` of its configuration, as pip reads them."""

from __future__ import annotations

import os
import sys

from pipfast.targets.target import Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

RUNNING = "_PIP_RUNNING_IN_SUBPROCESS"
"""pip's variable for the process that ``--python`` starts: there the option is over."""

_WITH_VALUE = (
    "--cache-dir", "--cert", "--client-cert", "--default-timeout", "--exists-action", "--keyring-provider",
    "--local-log", "--log", "--log-file", "--proxy", "--python", "--resume-retries", "--retries", "--timeout",
    "--timeline", "--trusted-host", "--use-deprecated", "--use-feature",
)
"""pip's global options whose value may be the next argument (pip 23.0 to 26.3), and the one of ours."""


def asked(
    arguments: list[str], environ: Mapping[str, str], configured: Callable[[], str] | None = None
) -> Target | None:
    """Return the interpreter that pip is told to run in; None if it is told none, or will complain.

    :param configured: reads ``python`` of pip's configuration files, with pip; called if one of them may have it.
    """
    # pip completes a command line before it reads it.
    if RUNNING in environ or "PIP_AUTO_COMPLETE" in environ:
        return None
    option, _ = _split(arguments)
    if option is not None:
        python, why = option, "--python"
    elif environ.get("PIP_PYTHON"):
        python, why = environ["PIP_PYTHON"], "PIP_PYTHON"
    elif configured is not None and _may_be_configured(environ):
        python, why = configured(), "python in pip's configuration"
    else:
        return None
    found = _interpreter(python)
    return Target(found, why, by_pip=True) if found else None


def may_be_told(environ: Mapping[str, str]) -> bool:
    """Tell whether a variable or a file may name a Python that this process is not run in."""
    return RUNNING not in environ and (bool(environ.get("PIP_PYTHON")) or _may_be_configured(environ))


def without_option(arguments: list[str]) -> list[str]:
    """Return a command line without ``--python``."""
    return _split(arguments)[1]


def _split(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Return the value of ``--python`` among the global options, and the other arguments.

    As optparse reads them: up to the first argument that is no option, with abbreviations, the last one wins.
    There is no value where pip's help is asked for.
    """
    # Cheap, and nearly always the end of it.
    if not any(each.startswith("--py") for each in arguments):
        return None, arguments
    value, rest = None, iter(arguments)
    others: list[str] = []
    for each in rest:
        name, equals, given = each.partition("=")
        if each == "-" or not each.startswith("-") or each == "--":
            return value, [*others, each, *rest]
        if (not each.startswith("--") and "h" in each) or (len(name) > 2 and "--help".startswith(name)):
            return None, arguments
        words = [each]
        if not equals and name.startswith("--") and any(option.startswith(name) for option in _WITH_VALUE):
            words += [given := next(rest, "")]
        if name.startswith("--py") and "--python".startswith(name):
            value = given
        else:
            others += words
    return value, others


def _interpreter(python: str) -> str | None:
    """Return the interpreter that pip would start for a value; None if it would find none."""
    if not os.path.exists(python):
        return None
    if os.path.isdir(python):
        places = (os.path.join(python, each) for each in ("bin/python", "Scripts/python.exe"))
        return next(filter(os.path.exists, places), None)
    # A bare name is looked for on PATH by the system, once it has been found here.
    return python if os.path.dirname(python) else None


def _may_be_configured(environ: Mapping[str, str]) -> bool:
    """Tell whether one of pip's configuration files has a key ``python``, in whatever section."""
    if environ.get("PIP_CONFIG_FILE") == os.devnull:
        return False
    return any(_has_key(path) for path in _configuration_files(environ))


def _configuration_files(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield where pip's files may be; some of them it may pass over."""
    for folder in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep):
        yield os.path.join(folder, "pip", "pip.conf")
    yield "/etc/pip.conf"
    home = os.path.expanduser("~")
    yield os.path.join(home, ".pip", "pip.conf")
    yield os.path.join(environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "pip", "pip.conf")
    if sys.platform == "darwin":
        yield "/Library/Application Support/pip/pip.conf"
        yield os.path.join(home, "Library", "Application Support", "pip", "pip.conf")
    yield os.path.join(sys.prefix, "pip.conf")
    yield environ.get("PIP_CONFIG_FILE", "")


def _has_key(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            text = file.read().lower().replace(b"_", b"-").replace(b":", b"=")
    except OSError:
        return False
    if b"python" not in text:
        return False
    keys = (line.partition(b"=")[0].strip() for line in text.splitlines())
    return any(key.removeprefix(b"--") == b"python" for key in keys)
