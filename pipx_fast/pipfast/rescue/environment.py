"""Overlay environment of a rescued build."""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_TARGET_PTH = "~pipfast-target.pth"
"""The file that adds the target's packages; the last of its folder, so that the overlay's own come first."""

_PIP = """#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
import runpy
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
"""pip's command. The shell runs its second line, which has Python run the same file; Python sees a string there.
``#!`` takes no long path, and ``python -m pip`` would look for modules in the current folder first."""

VARIABLES = (
    "PATH", "PYTHONPATH", "PYTHONNOUSERSITE", "PYTHONHOME", "VIRTUAL_ENV", "UV_PYTHON",
    "PIP_PREFIX", "PIP_PYTHON", "PIP_ROOT", "PIP_TARGET", "PIP_USER",
)
"""The variables that make an environment: those of pip's isolation, and those that tell installers a place."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """Packages over the target's for one build, in one folder.

    It is a virtual environment that sees the target's packages. An installer that a build script runs (``python
    -m pip install``, ``pip``, ``uv``, ``setup.py develop``) writes here, and removes nothing of the target.
    """

    root: Path

    @property
    def prefix(self) -> Path:
        """Return the environment's ``sys.prefix``."""
        return self.root / "prefix"

    @property
    def python(self) -> str:
        """Return the environment's interpreter: its scripts run with it, too."""
        return os.fspath(Path(self.scripts(), "python.exe" if os.name == "nt" else "python"))

    def lib_dirs(self) -> list[str]:
        """Return where packages go below the prefix, pure ones first."""
        paths = _scheme(self.prefix)
        return list(dict.fromkeys([paths["purelib"], paths["platlib"]]))

    def scripts(self) -> str:
        """Return where scripts go below the prefix."""
        return _scheme(self.prefix)["scripts"]

    def create(self, sites: Sequence[str]) -> None:
        """Make the environment; it holds nothing yet."""
        import venv

        builder = venv.EnvBuilder(symlinks=os.name != "nt", with_pip=False)
        made = builder.ensure_directories(os.fspath(self.prefix))
        builder.create_configuration(made)
        builder.setup_python(made)
        lines = [f"import site; site.addsitedir({path!r})\n" for path in sites]
        folder = Path(self.lib_dirs()[0])
        (folder / _TARGET_PTH).write_text("".join(lines), encoding="utf-8")
        if os.name != "nt":
            # A build finds them on PATH before the target's own, which would write there.
            for name in ("pip", "pip3", f"pip{sys.version_info[0]}.{sys.version_info[1]}"):
                path = Path(self.scripts(), name)
                path.write_text(_PIP.format(python=shlex.quote(self.python)), encoding="utf-8")
                path.chmod(0o755)

    def environ(self, original: Mapping[str, str | None], places: Iterable[str] = ()) -> dict[str, str | None]:
        """Return ``VARIABLES`` in the overlay, from the ``original`` ones; ``places``: those of pip to set."""
        path = [self.scripts(), *([original["PATH"]] if original.get("PATH") else [])]
        own = {"PIP_PREFIX": os.fspath(self.prefix), "PIP_ROOT": self.root.anchor,
               "PIP_TARGET": self.lib_dirs()[0], "PIP_USER": "0"}
        return dict.fromkeys(VARIABLES) | {
            "PATH": os.pathsep.join(map(str, path)),
            "PYTHONPATH": original.get("PYTHONPATH"),
            "PYTHONNOUSERSITE": original.get("PYTHONNOUSERSITE"),
            "VIRTUAL_ENV": os.fspath(self.prefix),
            **{name: value for name, value in own.items() if name in places},
        }


def _scheme(prefix: Path) -> dict[str, str]:
    base = os.fspath(prefix)
    # The scheme of virtual environments, which Python 3.10 has no name for.
    name = "nt" if os.name == "nt" else "posix_prefix"
    return sysconfig.get_paths(name, {"base": base, "platbase": base, "installed_base": base})
