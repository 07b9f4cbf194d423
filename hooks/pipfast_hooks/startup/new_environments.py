"""Import hook of venv and virtualenv for environments that they make.

Written by `pipfast attach --new-environments`, removed by `pipfast detach --new-environments`.
"""

# Every Python that finds it executes this at its start: nothing is imported that is not there already.
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
MADE_FOLDERS = 0


def install() -> None:
    """Wait for the import of venv and of virtualenv."""
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)


class Finder:
    """Import hook for the two modules that make environments."""

    @staticmethod
    def find_spec(name: str, path: "Any" = None, target: "Any" = None) -> "ModuleSpec | None":
        """Return the module's own spec with our loader, None for every other module."""
        if name != "venv" and name != "virtualenv.run.session":
            return None
        for finder in sys.meta_path:
            find = None if finder is Finder else getattr(finder, "find_spec", None)
            spec = None if find is None else find(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = Loader(spec.loader)
                return spec  # type: ignore[no-any-return]
        return None


class Loader:
    """Loader that puts a function of ours around the one that makes an environment."""

    def __init__(self, loader: "Any") -> None:
        self.loader = loader

    def __getattr__(self, name: str) -> "Any":
        if name == "loader":
            raise AttributeError(name)
        return getattr(self.loader, name)

    def exec_module(self, module: "Any") -> None:
        """Execute the module; if its shape is unknown, it stays as it is."""
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        builder: Any = getattr(module, "EnvBuilder", None)
        session: Any = getattr(module, "Session", None)
        if module.__name__ == "venv" and hasattr(builder, "create"):
            builder.create = _around_create(builder.create)
        elif hasattr(session, "run"):
            session.run = _around_run(session.run)


def _around_create(create: "Callable[..., Any]") -> "Callable[..., Any]":
    from functools import wraps

    @wraps(create)
    def around(self: "Any", env_dir: "Any", *arguments: "Any", **named: "Any") -> "Any":
        new = is_new(lambda: env_dir, self)
        result = create(self, env_dir, *arguments, **named)
        if new:
            attach(lambda: (os.path.abspath(env_dir), packages_in(os.path.abspath(env_dir)), sys.version_info[:2]))
        return result

    return around


def _around_run(run: "Callable[..., Any]") -> "Callable[..., Any]":
    from functools import wraps

    @wraps(run)
    def around(self: "Any", *arguments: "Any", **named: "Any") -> "Any":
        new = is_new(lambda: self.creator.dest, getattr(self, "creator", None))
        result = run(self, *arguments, **named)
        if new:
            attach(lambda: (str(self.creator.dest), str(self.creator.purelib),
                            tuple(self.creator.interpreter.version_info[:2])))
        return result

    return around


def is_new(folder: "Callable[[], Any]", maker: object) -> bool:
    """Tell whether a folder is no environment yet, or is to be emptied; one that was detached stays so."""
    try:
        return bool(getattr(maker, "clear", False)) or not os.path.exists(os.path.join(folder(), "pyvenv.cfg"))
    except Exception:
        return False


def packages_in(folder: str) -> str:
    """Return the site-packages of an environment that venv has made."""
    import sysconfig

    names = ("venv", "nt" if os.name == "nt" else "posix_prefix")
    scheme = next(name for name in names if name in sysconfig.get_scheme_names())
    return sysconfig.get_path("purelib", scheme, {"base": folder, "platbase": folder})


def attach(made: "Callable[[], tuple[str, str, Any]]") -> None:
    """Attach an environment that has been made, if pipfast can run with its pip; whatever happens, it stays made.

    :param made: returns its folder, its site-packages, and its Python's version.
    """
    if os.environ.get("PIPFAST", "").strip().lower() in ("off", "0", "false"):
        return
    where = "the new environment"
    try:
        where, site_packages, python = made()
        runner = reach()
        pip = runner.version_in(os.path.join(site_packages, "pip", "__init__.py")) if runner is not None else ""
        if not pip or runner.unsupported(pip, python):
            return
        runner.make_reachable()
        from pipfast.plugin.environment import attach_made

        attach_made(where, site_packages, pip)
    except Exception as error:
        if sys.stderr is not None:
            lines = str(error).splitlines() or [type(error).__name__]
            sys.stderr.write(f"pipfast: {where} is not attached: {lines[0]}\n")


def reach() -> "Any":
    """Return pipfast's ``runner``; None if pipfast was removed, is hidden from this user, or is another's now."""
    from importlib.util import module_from_spec, spec_from_file_location

    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), FOLDER)
    try:
        if os.path.isabs(FOLDER) and os.lstat(os.path.dirname(folder)).st_uid not in (OWNER, 0):
            return None
        spec: Any = spec_from_file_location("_pipfast_runner", os.path.join(folder, "runner.py"))
        runner = module_from_spec(spec)
        spec.loader.exec_module(runner)
        return runner
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
