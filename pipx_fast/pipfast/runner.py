"""Runner of pipfast in any Python, by the path of this file.

As a script: ``PYTHON runner.py NAME ARG...`` runs pipfast with the pip of that Python; NAME is what was typed,
``pip`` or ``pipfast``. As a module: ``launcher()`` is for whoever runs pipfast in a pip's place.

Our packages are found by an import hook. Nothing is added to ``sys.path``, so pip's commands and the target's
imports see nothing of ours. Python 2.7 and 3.6 can run this file, too: there the target's own pip runs alone.
"""

import os
import sys

OLDEST_PYTHON = (3, 10)
NEWEST_PYTHON = (3, 13)
OLDEST_PIP = (23, 0)

OWN_COMMANDS = ("attach", "detach", "doctor", "shell-hook", "store")
"""Commands of pipfast, which no pip that runs alone knows."""

_RUNNER = "__pip-runner__.py"
"""pip's own runner, which ``pip --python`` starts; it refuses a Python that this pip is not for."""


class Finder(object):
    """Import hook that finds given packages in given folders, and nothing else there."""

    def __init__(self, roots):
        # type: (dict[str, str]) -> None
        self.roots = roots

    def find_spec(self, fullname, path=None, target=None):
        # type: (str, object, object) -> object
        """Return the spec of one of these packages, None for every other module."""
        root = self.roots.get(fullname)
        if root is None:
            return None
        from importlib.machinery import PathFinder

        return PathFinder.find_spec(fullname, [root])


def roots():
    # type: () -> dict[str, str]
    """Return the folders that hold our packages, by name: one where they are installed, two in a checkout."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    hooks = here
    if not os.path.isdir(os.path.join(here, "pipfast_hooks")):
        hooks = os.path.join(os.path.dirname(here), "hooks")
    return {"pipfast": here, "pipfast_hooks": hooks}


def make_reachable(own_pip=""):
    # type: (str) -> None
    """Let ``import pipfast`` and ``import pipfast_hooks`` find our packages in this process, and no other file.

    :param own_pip: a folder from which ``pip`` is imported, too.
    """
    found = roots()
    if own_pip:
        found["pip"] = own_pip
    for finder in sys.meta_path:
        if getattr(finder, "roots", None) == found:
            return
    sys.meta_path.insert(0, Finder(found))  # type: ignore[arg-type]


def unsupported(pip_version="", python=None):
    # type: (str, tuple[int, int] | None) -> str
    """Return why pipfast does not run in this Python, in another, or with a version of pip; empty if it does."""
    python = python or sys.version_info[:2]
    if python < OLDEST_PYTHON:
        return "Python {0}.{1} is older than {2}.{3}, the oldest supported".format(*(python + OLDEST_PYTHON))
    if python > NEWEST_PYTHON:
        return "Python {0}.{1} is newer than {2}.{3}, the newest tested".format(*(python + NEWEST_PYTHON))
    if pip_version and _numbers(pip_version) < OLDEST_PIP:
        return "pip {0} is older than {1}.{2}, the oldest supported".format(pip_version, *OLDEST_PIP)
    return ""


def pip_version():
    # type: () -> str
    """Return the version of this process's pip, else of this Python's, not imported; empty if none is told."""
    version = getattr(sys.modules.get("pip"), "__version__", "")
    path = "" if version else _pip_file()
    return version_in(path) if path else str(version)


def version_in(path):
    # type: (str) -> str
    """Return the version of the pip with this ``__init__.py``; empty if it tells none, or is not there."""
    try:
        with open(path) as file:
            told = [line for line in file if line.startswith("__version__ = ")]
    except (OSError, ValueError):
        return ""
    return "".join(told[:1]).partition("=")[2].strip(" \"'\n")


def launcher():
    # type: () -> object
    """Return the function that runs this process's command line in pip's place; None if pip is to run alone."""
    reason = unsupported(pip_version())
    if reason:
        _say(reason)
        return None
    make_reachable()
    from pipfast.launch import main as launch

    return launch


def main():
    # type: () -> int
    """Run the command line of this script, and return the exit code."""
    del sys.argv[0]
    _leave_own_folder()
    # targets/start.py has set them; an old Python cannot read that.
    why, own_pip = os.environ.pop("_PIPFAST_WHY", ""), os.environ.pop("_PIPFAST_PIP", "")
    if not sys.argv:
        sys.stderr.write("usage: PYTHON runner.py NAME [ARGUMENT ...]\n")
        return 2
    has_pip = _pip_file() is not None
    if not has_pip:
        own_pip = own_pip or folder_of_pip()
        if not os.path.isfile(os.path.join(own_pip, "pip", _RUNNER)):
            sys.stderr.write("pipfast: {0} has no pip, and none is beside pipfast\n"
                             "hint: {0} -m ensurepip\n".format(sys.executable))
            return 1
    reason = unsupported(pip_version())
    if reason and sys.argv[1:2] and sys.argv[1] in OWN_COMMANDS:
        # In PowerShell, and as `pip3.N`, a shell's function starts this Python whatever `--python` says.
        sys.stderr.write("ERROR: {0} does not run in {1}: {2}\n"
                         "hint: name another Python: command pipfast --python PYTHON {0}\n".format(
                             sys.argv[1], sys.executable, reason))
        return 1
    if reason or not (has_pip or _is_for_this_python(own_pip)):
        return _alone(reason, "" if has_pip else own_pip)
    make_reachable("" if has_pip else own_pip)
    from pipfast.targets.start import become_asked

    become_asked(sys.argv[0], sys.argv[1:], _configured)
    from pipfast.memo.answer import answered

    def run(recording):
        # type: (object) -> int
        from pipfast.launch import main as launch

        return launch(why=why, recording=recording)  # type: ignore[arg-type]

    return answered(sys.argv[1:], run)


def folder_of_pip():
    # type: () -> str
    """Return the folder with pipfast's pip: its own, or one that a .pth file there adds, as pipx's; else empty."""
    here = roots()["pipfast"]
    folders = [here]
    for name in sorted(os.listdir(here)):
        try:
            if name.endswith(".pth"):
                with open(os.path.join(here, name)) as file:
                    folders += [os.path.join(here, line.strip()) for line in file if not line.startswith("import")]
        except (OSError, ValueError):
            continue
    return next((each for each in folders if os.path.isfile(os.path.join(each, "pip", _RUNNER))), "")


def _configured():
    # type: () -> str
    from pipfast.launch import configured_python

    return configured_python()


def _leave_own_folder():
    # type: () -> None
    """Take the folder of this file from ``sys.path``, where Python puts a script's."""
    own = os.path.abspath(__file__), os.path.realpath(__file__)
    is_there = not (getattr(sys.flags, "isolated", 0) or getattr(sys.flags, "safe_path", False))
    if is_there and sys.path and sys.path[0] in map(os.path.dirname, own):
        del sys.path[0]


def _pip_file():
    # type: () -> str | None
    """Return the file of this Python's pip, None if it has none; Python 2 is not asked, `runpy` says it there."""
    try:
        from importlib.machinery import PathFinder
    except ImportError:
        return ""
    spec = PathFinder.find_spec("pip")
    # Without a loader it is a folder of that name.
    return spec.origin if spec is not None and spec.loader is not None else None


def _numbers(version):
    # type: (str) -> tuple[int, ...]
    """Return a version's first two numbers: ``23.0.1`` is (23, 0)."""
    parts = version.split(".")[:2]
    return tuple(int(part) for part in parts if part.isdigit())


def _is_for_this_python(own_pip):
    # type: (str) -> bool
    """Tell whether pipfast's pip supports this Python; its runner says which is the oldest."""
    with open(os.path.join(own_pip, "pip", _RUNNER)) as file:
        lines = [line for line in file if line.startswith("PYTHON_REQUIRES = ")]
    numbers = "".join(lines).partition("=")[2].strip(" ()\n").split(",")
    return sys.version_info[:2] >= tuple(int(each) for each in numbers if each.strip().isdigit())


def _say(reason):
    # type: (str) -> None
    if not any(each == "--quiet" or each.startswith("-q") for each in sys.argv):
        sys.stderr.write("pipfast: pip runs alone: {0}\n".format(reason))


def _alone(reason, own_pip):
    # type: (str, str) -> int
    """Run the target's pip without us, or if there is none pipfast's, as ``pip --python`` does."""
    import runpy

    if reason and os.environ.get("PIPFAST", "").lower() not in ("off", "0", "false"):
        _say(reason)
    if own_pip:
        runpy.run_path(os.path.join(own_pip, "pip", _RUNNER), run_name="__main__")
    else:
        # Not altered, `sys.argv[0]` stays what was typed.
        runpy.run_module("pip", run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
