"""Probe in every Python process of a build: notes its vain imports.

First on ``PYTHONPATH`` in a build's processes, it takes its own folder from ``sys.path`` again, appends a finder
that never finds anything, and runs the ``sitecustomize`` that would have run without it. What is noted is written
when the interpreter ends. Only built-in and frozen modules are used: whatever is imported here is imported for the
build, too.
"""

import sys


class _Sought:
    """The last finder on ``sys.meta_path``: it is asked for modules that no other one has found."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Note the module, and find nothing."""
        if len(self.names) < 2000:
            self.names[fullname] = None


def _described(error: "BaseException | None") -> list[dict[str, object]]:
    chain: list[dict[str, object]] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen and len(chain) < 20:
        seen.add(id(error))
        kind = type(error)
        name = getattr(error, "name", None)
        chain.append({
            "type": f"{kind.__module__}.{kind.__qualname__}",
            "message": str(error)[:4000],
            "name": name if isinstance(name, str) else None,
        })
        error = error.__cause__ or error.__context__
    return chain


def _imported() -> list[str]:
    """Return the top-level modules that were imported from files; of a namespace, those right below it."""
    files = {name for name, module in list(sys.modules.items())
             if name.count(".") < 2 and isinstance(getattr(module, "__dict__", {}).get("__file__"), str)}
    own = set(sys.stdlib_module_names) | {"__main__", "sitecustomize", "usercustomize"}
    packages = files | own
    return sorted(name for name in files
                  if name.partition(".")[0] not in (packages if "." in name else own))[:1000]


def _write(sought: _Sought, path: str, pid: int) -> None:
    try:
        import json
        import os

        if os.getpid() != pid:
            return  # A fork that ends as its parent would: the parent has noted the same.
        # The interpreter puts it there before it says "Traceback"; sys.exit() leaves none.
        error = getattr(sys, "last_value", None)
        line = {"argv": [str(each)[:500] for each in sys.argv[:4]],
                "errors": _described(error) if isinstance(error, BaseException) else [],
                "sought": list(sought.names), "imported": _imported()}
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, (json.dumps(line) + "\n").encode("ascii", "replace"))
        finally:
            os.close(descriptor)
    except Exception:
        pass


def _begin() -> None:
    import atexit

    # Built in, and imported before this: `os` is here already.
    os = sys.modules["os"]
    path = os.environ.get("PIPFAST_BUILD_RECORD")
    if path:
        sought = _Sought()
        sys.meta_path.append(sought)
        atexit.register(_write, sought, path, os.getpid())


def _chain() -> None:
    """Run the next ``sitecustomize`` on the path in our place, and raise its errors."""
    import _frozen_importlib
    import _frozen_importlib_external

    spec = _frozen_importlib_external.PathFinder.find_spec("sitecustomize")
    if spec is None or spec.loader is None or spec.origin == __file__:
        return
    module = _frozen_importlib.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _leave(here: str) -> None:
    if here in sys.path:
        sys.path.remove(here)
    sys.path_importer_cache.pop(here, None)


_here = __file__.rpartition("/")[0] or __file__.rpartition("\\")[0]
_leave(_here)
try:
    _begin()
except Exception:
    pass
_chain()
