"""An environment in which isolation is off: the target's packages, and over them a folder of our own."""

from __future__ import annotations

import os
import sysconfig
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SITE = '''"""Puts what was added for one build in front of the target's own packages."""
import os, site, sys

_added, _before = {added!r}, sys.path[:]
_sites = {{os.path.normcase(path) for path in {sites!r}}}
sys.path[:] = []
for _path in _added:
    site.addsitedir(_path)
_added = [path for path in sys.path if path not in _before]
_at = next((at for at, path in enumerate(_before) if os.path.normcase(path) in _sites), len(_before))
sys.path[:] = _before[:_at] + _added + _before[_at:]
sys.path[:] = [path for path in sys.path if path != os.path.dirname(os.path.abspath(__file__))]

# What would have run without this file.
import _frozen_importlib, _frozen_importlib_external
_spec = _frozen_importlib_external.PathFinder.find_spec("sitecustomize")
if _spec is not None and _spec.loader is not None and _spec.origin != __file__:
    _module = _frozen_importlib.module_from_spec(_spec)
    sys.modules["sitecustomize"] = _module
    _spec.loader.exec_module(_module)
'''

VARIABLES = ("PATH", "PYTHONPATH", "PYTHONNOUSERSITE")
"""The variables that make an environment; pip's isolation sets the same ones."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """What is put over the target's packages for one build, in one folder."""

    root: Path
    """``prefix/`` is an installation scheme's base, ``site/`` holds the ``sitecustomize.py``."""

    @property
    def prefix(self) -> Path:
        """Return the folder to install into."""
        return self.root / "prefix"

    @property
    def site(self) -> Path:
        """Return the folder that goes on ``PYTHONPATH``."""
        return self.root / "site"

    def lib_dirs(self) -> list[str]:
        """Return where packages go below the prefix, pure ones first."""
        paths = _scheme(self.prefix)
        return list(dict.fromkeys([paths["purelib"], paths["platlib"]]))

    def scripts(self) -> str:
        """Return where scripts go below the prefix."""
        return _scheme(self.prefix)["scripts"]

    def write_site(self, sites: Sequence[str], lib_dirs: Sequence[str] | None = None) -> None:
        """Write the start-up file.

        :param sites: the target's own package folders.
        :param lib_dirs: the folders to add; the default are the prefix's.
        """
        self.site.mkdir(parents=True, exist_ok=True)
        text = _SITE.format(added=list(lib_dirs or self.lib_dirs()), sites=list(sites))
        (self.site / "sitecustomize.py").write_text(text, encoding="utf-8")

    def environ(self, original: Mapping[str, str | None], scripts: Sequence[str] = ()) -> dict[str, str | None]:
        """Return the values of ``VARIABLES`` for processes that are to see the overlay; None takes one away.

        :param original: the values from before any isolation.
        """
        path = [*(scripts or [self.scripts()]), *([original["PATH"]] if original.get("PATH") else [])]
        python_path = [os.fspath(self.site), *([original["PYTHONPATH"]] if original.get("PYTHONPATH") else [])]
        return {
            "PATH": os.pathsep.join(map(str, path)),
            "PYTHONPATH": os.pathsep.join(map(str, python_path)),
            "PYTHONNOUSERSITE": original.get("PYTHONNOUSERSITE"),
        }


def _scheme(prefix: Path) -> dict[str, str]:
    base = os.fspath(prefix)
    # pip installs with --prefix by this scheme on POSIX, and by `nt` on Windows.
    name = "nt" if os.name == "nt" else "posix_prefix"
    return sysconfig.get_paths(name, {"base": base, "platbase": base, "installed_base": base})


def kept(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Return the present values of ``VARIABLES``."""
    return {name: environ.get(name) for name in VARIABLES}
