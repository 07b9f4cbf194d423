"""Program by which a child process finds this pip and this pipfast.

Nothing else of this process is visible there, nor is the folder that the child is started in.
"""

from __future__ import annotations

import importlib.util
import os

_NAMES = ("pip", "pipfast", "pipfast_hooks")

_CODE = '''import sys
# Before any other import: the script's folder, or with -c the current folder, is first on the path.
if sys.path and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    del sys.path[0]
from importlib.machinery import PathFinder

_ROOTS = {roots!r}


class _Redirected:
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        root = _ROOTS.get(fullname)
        return PathFinder.find_spec(fullname, [root], target) if root else None


sys.meta_path.insert(0, _Redirected)
'''

_MAIN = '''from pipfast.launch import main
sys.exit(main())
'''


def program(between: str = "") -> str:
    """Return the source of a program that runs its command line with this pip and pipfast.

    :param between: source that is executed first; ``sys`` is imported, and pipfast can be.
    """
    roots = {}
    for name in _NAMES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            roots[name] = os.path.dirname(os.path.abspath(spec.submodule_search_locations[0]))
    return _CODE.format(roots=roots) + between + _MAIN
