"""Files of hooks/ci: their expressions as GitHub reads them, their shell parts as in a job."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

import pipfast
import pipfast_hooks
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FOLDER = Path(__file__).parents[2] / "hooks" / "ci"

_TEMPLATE = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_TOKEN = re.compile(r"'[^']*'|&&|\|\||!=|==|[()!,]|[A-Za-z_][\w.-]*|\s+")


def read(name: str) -> Any:
    """Return the document in a YAML file of hooks/ci."""
    return YAML(typ="safe", pure=True).load((FOLDER / name).read_text(encoding="utf-8"))


def evaluate(expression: str, context: Mapping[str, object], work: Path) -> Any:
    """Return the value of a GitHub expression; a name that is not in ``context`` is empty.

    :param work: the workspace, whose files ``hashFiles`` hashes.
    """
    words = {"&&": " and ", "||": " or ", "!": " not ", "fromJSON": "loads", "contains": "contains",
             "hashFiles": "hash_files"}
    python = ""
    position = 0
    for token in _TOKEN.finditer(expression):
        assert token.start() == position, f"{expression!r} at {position}"
        position = token.end()
        text = token[0]
        is_name = re.fullmatch(r"[A-Za-z_][\w.-]*", text) is not None and text not in words
        python += f"name({text!r})" if is_name else " " if text.isspace() else words.get(text, text)
    assert position == len(expression), f"{expression!r} at {position}"

    def hash_files(patterns: str) -> str:
        files = sorted({path for pattern in patterns.split() for path in work.glob(pattern)})
        return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest() if files else ""

    return eval(python, {  # of our own file
        "name": lambda text: context.get(text, ""), "loads": json.loads, "hash_files": hash_files,
        "contains": lambda values, value: value in values,
    })


def filled(text: str, context: Mapping[str, object], work: Path) -> str:
    """Return a text with the values of its expressions."""
    return _TEMPLATE.sub(lambda match: str(evaluate(match[1], context, work)), text)


@dataclass(slots=True)
class Job:
    """A machine of a CI service: no terminal, no home or one that cannot be written, a umask, another user."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)
    umask: int = 0o022
    user: int | None = None
    """The user id to run as; it may read everything, as tests lie in a folder of root's."""

    @property
    def work(self) -> Path:
        """Return the workspace."""
        return self.root / "work"

    def run(self, script: str, *, shell: Sequence[str], **more: str) -> subprocess.CompletedProcess[str]:
        """Run a shell part, which must succeed; return what it printed."""
        kept = ("LANG", "LC_ALL", "LD_LIBRARY_PATH")
        inherited = {name: os.environ[name] for name in kept if name in os.environ}
        drop = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups",
                "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"] if self.user is not None else []
        ended = subprocess.run(
            [*drop, *shell, script], cwd=self.work, env={**inherited, **self.variables, **more}, umask=self.umask,
            stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", start_new_session=True, timeout=120,
            check=False,
        )
        assert ended.returncode == 0, f"{script}\n{ended.stdout}\n{ended.stderr}"
        return ended


@dataclass(slots=True)
class Steps:
    """The steps of an action or a workflow, run one after another in a job."""

    job: Job
    context: dict[str, object]
    """Values of ``inputs``, ``github``, ``runner`` and ``steps``, by their names with dots."""
    saved: dict[str, Path]
    """The service's caches, by their keys."""
    said: str = ""
    """What the shell parts wrote to standard error."""

    def run(self, steps: Sequence[Any]) -> None:
        """Run the steps whose conditions hold."""
        for step in steps:
            held = evaluate(step.get("if", "'true'"), self.context, self.job.work)
            if held and "run" in step:
                self._run_shell(step)
            elif held and step["uses"].startswith("actions/cache/"):
                self._cache(step)
            if "id" in step:
                self.context[f"steps.{step['id']}.outcome"] = "success" if held else "skipped"

    def _run_shell(self, step: Any) -> None:
        files = {name: self.job.root / name.lower() for name in ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT")}
        for path in files.values():
            path.write_text("")
            path.chmod(0o666)
        env = self._filled(step.get("env", {}))
        assert step.get("shell", "bash") == "bash" and "${{" not in step["run"]
        ended = self.job.run(step["run"], shell=("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"),
                             **env, **{name: str(path) for name, path in files.items()})
        self.said += ended.stderr
        variables = self.job.variables
        for line in files["GITHUB_ENV"].read_text().splitlines():
            name, value = line.split("=", 1)
            variables[name] = value
        for line in files["GITHUB_PATH"].read_text().splitlines():
            variables["PATH"] = f"{line}:{variables['PATH']}"
        for line in files["GITHUB_OUTPUT"].read_text().splitlines():
            name, value = line.split("=", 1)
            self.context[f"steps.{step['id']}.outputs.{name}"] = value

    def _filled(self, values: Mapping[str, object]) -> dict[str, str]:
        return {name: filled(str(value), self.context, self.job.work) for name, value in values.items()}

    def _cache(self, step: Any) -> None:
        given = self._filled(step["with"])
        if "/save@" in step["uses"]:
            archive = self.job.root / f"cache-{len(self.saved)}.tar"
            paths = [path for path in given["path"].split() if Path(path).exists()]
            subprocess.run(["tar", "--posix", "-Pcf", archive, *paths], check=True)
            self.saved[given["key"]] = archive
            return
        prefixes = given.get("restore-keys", "").split()
        wanted = (given["key"], *prefixes)
        found = next((key for prefix in wanted for key in self.saved if key.startswith(prefix)), "")
        if found and given.get("lookup-only", "False") != "True":
            self.job.run(f"tar -Pxf '{self.saved[found]}'", shell=("sh", "-c"))
        self.context[f"steps.{step['id']}.outputs.cache-hit"] = str(found == given["key"]).lower()


def own_wheel(folder: Path) -> Path:
    """Write a wheel of the running pipfast into ``folder`` and return its path."""
    files: dict[str, str | bytes] = {}
    for package in (pipfast, pipfast_hooks):
        root = Path(str(package.__file__)).parent
        files |= {f"{root.name}/{path.relative_to(root)}": path.read_bytes()
                  for path in sorted(root.rglob("*")) if path.is_file() and "__pycache__" not in path.parts}
    archive = Wheel("pipfast", pipfast.__version__, requires=["pip>=23.0"], files=files,
                    console={"pipfast": "pipfast.__main__:main"}, compression=0).build()
    path = folder / archive.filename
    path.write_bytes(archive.data)
    return path


def installed_python(root: Path) -> Path:
    """Make an environment with the running pip alone, as the Python of a machine, and return its interpreter."""
    venv.EnvBuilder(symlinks=True).create(root)
    site = next((root / "lib").glob("python*")) / "site-packages"
    pip = importlib.metadata.distribution("pip")
    for name in ("pip", f"pip-{pip.version}.dist-info"):
        shutil.copytree(Path(str(pip.locate_file(name))), site / name)
    (root / "bin" / "pip").write_text(
        f"#!{root}/bin/python\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n", "utf-8")
    (root / "bin" / "pip").chmod(0o755)
    return root / "bin" / "python"
