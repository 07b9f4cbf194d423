"""One installation of pipfast, and environments of other Pythons that it acts on."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from support import snapshot
from support.environments import walk
from support.outputs import normalized, without_notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PACKAGES = ("pip", "pipfast", "pipfast_hooks")

_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def pythons() -> dict[str, str]:
    """Return the interpreters of this machine by version, ``3.12``: on PATH, and pyenv's."""
    found = {}
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for minor in range(8, 14):
        version = f"3.{minor}"
        places = map(str, sorted(root.glob(f"versions/{version}.*/bin/python")))
        for each in filter(None, [*places, shutil.which(f"python{version}")]):
            ended = subprocess.run([each, "-c", _VERSION], capture_output=True, text=True, check=False)
            if ended.stdout.strip() == version:
                found[version] = each
                break
    return found


def install_once(folder: Path, python: str = sys.executable) -> Path:
    """Install the running pipfast and its pip into a folder of their own; return the command."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    site_packages = next((folder / "lib").glob("python*")) / "site-packages"
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(spec.origin).parent, site_packages / name, ignore=ignored)
    script = folder / "bin" / "pipfast"
    text = f"#!{folder}/bin/python\nimport sys\nfrom pipfast.__main__ import main\nsys.exit(main())\n"
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)
    subprocess.run([folder / "bin" / "python", "-m", "compileall", "-q", site_packages], check=True)
    return script


def make_prefix(folder: Path, python: str) -> None:
    """Make a Python in a prefix of its own, as conda's, with links to another's standard library."""
    ask = "import os, sys; print(os.path.realpath(sys.executable), os.path.dirname(os.__file__), sep='\\n')"
    asked = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.splitlines()
    executable, library = map(Path, asked)
    (folder / "bin").mkdir(parents=True)
    (folder / "lib" / library.name / "site-packages").mkdir(parents=True)
    shutil.copy2(executable, folder / "bin" / library.name)
    for name in ("python", "python3"):
        (folder / "bin" / name).symlink_to(library.name)
    for path in library.iterdir():
        if path.name not in ("site-packages", "dist-packages", "EXTERNALLY-MANAGED", "__pycache__"):
            (folder / "lib" / library.name / path.name).symlink_to(path)


@dataclass(frozen=True, slots=True)
class Target:
    """An environment, and who runs pip on it."""

    root: Path
    """Where homes, caches and the current folder go."""
    python: str
    prefix: Path | None
    """What is compared; None for a system's own."""
    stock: Sequence[str]
    """The command of its own pip."""
    ours: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)
    """What makes it the target."""
    user: int = 0


Seen = tuple[int, str, str, snapshot.Tree]
"""Exit code, standard output and error, and what is in the environment then."""


def run_all(target: Target, command: Sequence[str], steps: Mapping[str, str]) -> dict[str, Seen]:
    """Run all steps in fresh folders and return what is seen after each."""
    home, cache, work, store, tmp = (target.root / name for name in ("home", "cache", "work", "store", "tmp"))
    for folder in (home, cache, work, store, tmp):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        os.chown(folder, target.user, target.user)
    store.chmod(0o700)
    environ = {
        "PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(tmp), "PIP_CACHE_DIR": str(cache),
        "PIPFAST_STORE": str(store), "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "LC_ALL": "C.UTF-8", "COLUMNS": "300", "PYTHONHASHSEED": "0", **target.variables,
    }
    before = []
    if target.user:
        before = ["setpriv", f"--reuid={target.user}", f"--regid={target.user}", "--clear-groups"]
    seen = {}
    for name, step in steps.items():
        ended = subprocess.run(
            [*before, *command, *step.split()], cwd=work, env=environ, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=300, check=False,
        )
        usage = f"{target.python} -m pip"
        out, err = (normalized(each).replace(usage, "pip") for each in (ended.stdout, ended.stderr))
        seen[name] = ended.returncode, out, err, dict(_tree(target.prefix, work))
    return seen


def _tree(prefix: Path | None, work: Path) -> Iterator[tuple[str, snapshot.Entry]]:
    for root in filter(None, (prefix, work)):
        for relative, path in walk(root):
            # Which modules of pip's and of the standard library have bytecode depends on what was imported.
            if "__pycache__" in relative and ("/pip/" in relative or "-packages/" not in relative):
                continue
            entry = snapshot.look_at(path)
            if path.suffix == ".pyc":
                # Another Python's code: its kind, without the time of its source.
                entry = replace(entry, content=entry.content[:8])
            yield f"{root.name}/{relative}", entry


def differences(theirs: Seen, mine: Seen) -> list[str]:
    """Return how one step differs, stock pip's first."""
    found = [] if theirs[0] == mine[0] else [f"exit code {theirs[0]}, {mine[0]}:\n{mine[1]}{mine[2]}"]
    errors, notes = without_notes(mine[2])
    if theirs[1] != mine[1]:
        found.append(snapshot.text_difference(theirs[1], mine[1]))
    if theirs[2] != errors:
        found.append(snapshot.text_difference(theirs[2], errors))
    return [*found, *notes, *snapshot.compare_trees(theirs[3], mine[3])]
