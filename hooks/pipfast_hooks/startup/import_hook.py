"""Import hook by which an environment's own pip runs with pipfast.

Written by `pipfast attach`, removed by `pipfast detach`.
"""

# Every Python of the environment executes this at its start: nothing is imported that is not there already.
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from typing import Any

FOLDER = ""
OWNER = 0
MADE_CACHE = False
ENTRY = "pip._internal.cli.main"


def install() -> None:
    """Wait for the import of pip's command line."""
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)


class Finder:
    """Import hook for the module of pip's command line; its first import ends the hook."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        """Return pip's own spec with our loader, None for every other module."""
        if name != ENTRY:
            return None
        sys.meta_path[:] = [each for each in sys.meta_path if each is not Finder]
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is not None and os.environ.get("PIPFAST", "").strip().lower() not in ("off", "0", "false"):
            spec.loader = Loader(spec.loader)  # type: ignore[assignment]  # as much of a loader as is used
        return spec


class Loader:
    """Loader that executes pip's module at its first use, so that pipfast comes before what it imports."""

    def __init__(self, loader: "Any") -> None:
        self.loader = loader
        self.originals: dict[str, Any] = {}
        self.begun = False

    def create_module(self, spec: object) -> None:
        """Let the import system make the module."""

    def exec_module(self, module: "Any") -> None:
        """Give the module one function; the rest comes when it is asked for."""
        module.__spec__.loader = module.__loader__ = self.loader

        def get(name: str) -> object:
            # The import system asks for `__path__`.
            if name[:2] == "__" or not self.execute(module):
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            return getattr(module, name)

        module.__getattr__ = get
        module.main = self.instead_of("main", module)

    def execute(self, module: "Any") -> bool:
        """Execute pip's module; return False if that was done before."""
        if module.__dict__.pop("__getattr__", None) is None:
            return False
        self.loader.exec_module(module)
        for name in ("main", "cli"):
            if name in module.__dict__:
                self.originals[name] = module.__dict__[name]
                setattr(module, name, self.instead_of(name, module))
        return True

    def instead_of(self, name: str, module: "Any") -> "Callable[..., object]":
        """Return a function that runs pipfast if pip's is to run this process's command line.

        Whoever passes arguments uses pip as a library, or is pipfast.
        """

        def run(args: "list[str] | None" = None) -> object:
            launch = reach() if args is None else None
            if launch is not None:
                try:
                    return launch()
                except Exception as error:
                    if self.begun:
                        # It is pip's, or pip has done something already.
                        raise
                    say_broken(error)
            self.execute(module)
            self.begun = True
            return self.originals[name](args)

        return run


def reach() -> "Callable[[], object] | None":
    """Return what runs this process's command line with pipfast, None if pip is to run alone."""
    from importlib.util import module_from_spec, spec_from_file_location

    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), FOLDER)
    try:
        if os.path.isabs(FOLDER) and os.lstat(os.path.dirname(folder)).st_uid not in (OWNER, 0):
            # pipfast was removed, and somebody else has put something there: in /tmp anybody can.
            return None
        spec: Any = spec_from_file_location("_pipfast_runner", os.path.join(folder, "runner.py"))
        runner = module_from_spec(spec)
        spec.loader.exec_module(runner)
        return runner.launcher()  # type: ignore[no-any-return]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        # pipfast was removed, or is hidden from this user.
        return None
    except Exception as error:
        say_broken(error)
        return None


def say_broken(error: Exception) -> None:
    """Say on standard error, in one line, that pipfast cannot run."""
    if sys.stderr is not None and not any(each == "--quiet" or each[:2] == "-q" for each in sys.argv):
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        sys.stderr.write(f"pipfast: pip runs alone: {FOLDER} is broken ({what})\n")
