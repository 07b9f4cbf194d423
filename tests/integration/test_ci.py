"""The files of hooks/ci: right by their schemas, and run in what a CI service gives them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from check_jsonschema import main as check_jsonschema
from dockerfile_parse import DockerfileParser
from pre_commit.clientlib import load_config

from support.ci import FOLDER, Job, Steps, evaluate, filled, installed_python, own_wheel, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Index

pytestmark = pytest.mark.once

SCHEMAS = {"action.yml": "github-actions", "github-workflow.yml": "github-workflows", "gitlab-ci.yml": "gitlab-ci"}
DOCKERFILES = ("Dockerfile.cache-mount", "Dockerfile.multi-stage")
SHELL = ("sh", "-ec")
NOBODY = 65534
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="cannot be another user"
)


# Their form


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema(name: str) -> None:
    with pytest.raises(SystemExit) as ended:
        check_jsonschema(["--builtin-schema", f"vendor.{SCHEMAS[name]}", str(FOLDER / name)])
    assert ended.value.code == 0


def test_pre_commit_takes_its_file() -> None:
    [repository] = load_config(str(FOLDER / "pre-commit-config.yaml"))["repos"]
    assert [hook["id"] for hook in repository["hooks"]] == ["requirements"]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_dockerfile_can_be_parsed(name: str) -> None:
    words = {each["instruction"] for each in instructions(name)}
    assert words == {"COMMENT", "FROM", "WORKDIR", "COPY", "ARG", "RUN", "CMD"} | (
        {"ENV"} if name.endswith("stage") else set()
    )


def test_the_map_has_them_all() -> None:
    linked = re.findall(r"^- \[(.+?)\]\(\1\): ", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted([*linked, "README.md"]) == sorted(path.name for path in FOLDER.iterdir() if path.is_file())


def all_steps() -> list[Any]:
    return [*read("action.yml")["runs"]["steps"], *read("github-workflow.yml")["jobs"]["test"]["steps"]]


def test_nothing_is_put_into_shell_text_and_actions_are_pinned() -> None:
    for step in all_steps():
        assert "${{" not in step.get("run", "")
        if "uses" in step:
            assert re.fullmatch(r"actions/[\w/-]+@v\d+", step["uses"])
    for path in FOLDER.iterdir():
        assert not re.search(r"secrets\.|token|password", path.read_text(encoding="utf-8"), re.IGNORECASE)


# When the action saves, and under which key


STEPS = {step["name"]: step for step in read("action.yml")["runs"]["steps"]}
OWN, FORK = "team/project", "stranger/project"


@pytest.mark.parametrize(("event", "head", "saves"), [
    ("push", "", True), ("schedule", "", True), ("workflow_dispatch", "", True), ("merge_group", "", True),
    ("pull_request", OWN, True), ("pull_request", FORK, False), ("pull_request", "", False),
    ("pull_request_target", OWN, False), ("pull_request_target", FORK, False), ("workflow_run", "", False),
    ("release", "", False), ("issue_comment", "", False),
])
def test_who_may_not_write_saves_nothing(event: str, head: str, saves: bool, tmp_path: Path) -> None:
    context = {"github.event_name": event, "github.event.pull_request.head.repo.full_name": head,
               "github.repository": OWN, "inputs.save": "auto", "inputs.install": "flask"}
    assert bool(evaluate(STEPS["Prune the store"]["if"], context, tmp_path)) is saves
    for changed in ({"inputs.save": "never"}, {"inputs.install": ""}, {"steps.restore.outputs.cache-hit": "true"}):
        assert not evaluate(STEPS["Prune the store"]["if"], context | changed, tmp_path)
    assert STEPS["Save the store"]["if"] == "steps.prune.outcome == 'success'"


def test_the_key_changes_with_what_the_cache_is_for(tmp_path: Path) -> None:
    restore, save = STEPS["Restore the store"]["with"], STEPS["Save the store"]["with"]
    assert restore["key"] == save["key"] and restore["path"] == save["path"]
    (tmp_path / "requirements.txt").write_text("six\n")
    context = {"runner.os": "Linux", "runner.arch": "X64", "steps.facts.outputs.tag": "cpython-313-x",
               "inputs.requirements": read("action.yml")["inputs"]["requirements"]["default"]}
    keys = [filled(restore["key"], context, tmp_path)]
    assert keys[0].startswith(filled(restore["restore-keys"], context, tmp_path).strip())
    keys += [filled(restore["key"], context | {name: "other"}, tmp_path)
             for name in ("runner.os", "runner.arch", "steps.facts.outputs.tag")]
    (tmp_path / "requirements.txt").write_text("attrs\n")
    keys.append(filled(restore["key"], context, tmp_path))
    assert len(set(keys)) == 5


# Their shell parts


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel of pipfast."""
    return own_wheel(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a machine, in a folder that jobs copy."""
    root = tmp_path_factory.mktemp("machine") / "python"
    installed_python(root)
    return root


@pytest.fixture
def job(index: Index, machine: Path) -> Iterator[Job]:
    """Return a machine that has run nothing yet."""
    with tempfile.TemporaryDirectory() as folder:
        # Not below pytest's own, which only its user may enter.
        root = Path(folder).resolve()
        root.chmod(0o755)
        yield new_job(root, index, machine)


def new_job(root: Path, index: Index, machine: Path) -> Job:
    (root / "work").mkdir(parents=True)
    (root / "work" / "requirements.txt").write_text("app\n")
    job = Job(root, {
        "PATH": f"{root / 'python' / 'bin'}:/usr/bin:/bin", "PIP_INDEX_URL": index.url, "CI": "true",
        "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "RUNNER_TEMP": str(root / "temp"), "TMPDIR": str(root),
    })
    renew(job, machine)
    return job


def renew(job: Job, machine: Path) -> None:
    """Give a job what a new machine has."""
    for name in ("python", "temp"):
        shutil.rmtree(job.root / name, ignore_errors=True)
    shutil.copytree(machine, job.root / "python", symlinks=True)
    for script in (job.root / "python" / "bin").glob("pip"):
        script.write_text(script.read_text().replace(str(machine), str(job.root / "python")))
    (job.root / "temp").mkdir()
    if job.user is not None:
        subprocess.run(["chown", "-R", f"{job.user}:{job.user}", job.root], check=True)


def trees(store: Path) -> dict[str, bytes]:
    """Return the stored trees with their manifests, which have random names of the unpacking."""
    return {path.parent.name: path.read_bytes() for path in store.glob("trees-v*/*/*/manifest")}


def module_of(job: Job) -> Path:
    return next((job.root / "python").glob("lib/*/site-packages/app/__init__.py"))


def is_linked(job: Job, store: Path) -> bool:
    """Tell whether the environment has the store's own files."""
    return any(path.samefile(module_of(job)) for path in store.glob("trees-v*/*/*/tree/app/__init__.py"))


@needs_root
def test_action_cold_and_restored(job: Job, source: Path, machine: Path) -> None:
    """As another user, without a home, under another umask; a restored store is used, not made again."""
    job.user, job.umask = NOBODY, 0o027
    renew(job, machine)
    action = read("action.yml")
    inputs = {f"inputs.{name}": each["default"] for name, each in action["inputs"].items()}
    inputs |= {"inputs.install": "-r requirements.txt", "inputs.source": str(source)}
    saved: dict[str, Path] = {}
    context = {"github.event_name": "push", "runner.os": "Linux", "runner.arch": "X64", **inputs}
    cold = Steps(job, dict(context), saved)
    cold.run(action["runs"]["steps"])
    store = job.root / "temp" / "pipfast" / "store"
    [key] = saved
    made = trees(store)
    assert len(made) == 2 and is_linked(job, store) and not list(store.glob("archives-v*/*/*"))
    job.variables["PATH"] = job.variables["PATH"].split(":", 1)[1]
    renew(job, machine)
    del job.variables["PIPFAST_STORE"]
    restored = Steps(job, {**context, "github.event_name": "pull_request_target"}, saved)
    restored.run(action["runs"]["steps"])
    assert restored.context["steps.restore.outputs.cache-hit"] == "true" and list(saved) == [key]
    assert trees(store) == made and is_linked(job, store)
    # Of pip itself: without a home there is no folder for its cache.
    for line in (cold.said + restored.said).splitlines():
        assert line.startswith("WARNING: The directory '") and "The cache has been disabled" in line


@needs_root
def test_action_in_a_container_of_root(job: Job, source: Path, machine: Path) -> None:
    """There the runner's folder for temporary files is that of the user outside."""
    os.chown(job.root / "temp", NOBODY, NOBODY)
    action = read("action.yml")
    inputs = {f"inputs.{name}": each["default"] for name, each in action["inputs"].items()}
    inputs |= {"inputs.install": "-r requirements.txt", "inputs.source": str(source)}
    steps = Steps(job, {"github.event_name": "push", "runner.os": "Linux", "runner.arch": "X64", **inputs}, {})
    steps.run(action["runs"]["steps"])
    assert len(steps.saved) == 1 and len(trees(job.root / "temp" / "pipfast" / "store")) == 2


@needs_root
@pytest.mark.parametrize("user", [NOBODY, None], ids=["nobody", "root"])
def test_gitlab_store_that_root_restored_for_all(job: Job, source: Path, machine: Path, user: int | None) -> None:
    """As the runner does it: by zip, root's, with rights for all; the job's user another, or root."""
    job.user, job.umask = user, 0o000
    renew(job, machine)
    template = read("gitlab-ci.yml")[".pipfast"]
    job.variables |= {"CI_PROJECT_DIR": str(job.work), "CI_JOB_ID": "7", "HOME": "/"}
    for name, value in template["variables"].items():
        job.variables[name] = re.sub(r"\$(\w+)", lambda match: job.variables[match[1]], value)
    job.variables |= {"FOLDER_OF_PIPFAST": str(job.root / "program"), "INSTALL_PIPFAST": str(source)}
    store = job.work / ".cache" / "pip" / "pipfast"
    [before], [after] = template["before_script"], template["after_script"]

    def run() -> str:
        said = job.run(f"{before}\npip install -r requirements.txt\n", shell=SHELL).stderr
        return said + job.run(after, shell=SHELL).stderr

    assert run() == ""
    made = trees(store)
    assert len(made) == 2
    shutil.make_archive(str(job.root / "cache"), "zip", job.work, ".cache")
    shutil.rmtree(job.work / ".cache")
    shutil.rmtree(job.root / "program")
    shutil.unpack_archive(job.root / "cache.zip", job.work)
    renew(job, machine)
    subprocess.run(["chown", "-R", "0:0", job.work / ".cache"], check=True)
    subprocess.run(["chmod", "-R", "a+rwX", job.work / ".cache"], check=True)
    assert run() == ""
    assert trees(store) == made and is_linked(job, store)


def instructions(name: str) -> list[dict[str, Any]]:
    with (FOLDER / name).open("rb") as file, tempfile.TemporaryFile() as copy:
        copy.write(file.read())
        found: list[dict[str, Any]] = DockerfileParser(fileobj=copy).structure
    return found


@pytest.fixture
def other_filesystem(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on another filesystem than the tests' own."""
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK) or folder.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other filesystem here")
    with tempfile.TemporaryDirectory(dir=folder) as made:
        yield Path(made)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_image_has_files_of_its_own_and_no_pipfast(
    name: str, job: Job, source: Path, other_filesystem: Path
) -> None:
    """The cache is on another filesystem, the home cannot be written; nothing is said of either."""
    parsed = instructions(name)
    job.variables |= dict(each["value"].split("=", 1) for each in parsed if each["instruction"] == "ARG")
    job.variables |= {
        "HOME": "/proc", "INSTALL_PIPFAST": str(source), "FOLDER_OF_PIPFAST": str(job.root / "program"),
        "PIP_CACHE_DIR": str(other_filesystem / "pip"), "PYTHON": str(job.root / "python" / "bin" / "python"),
        "VENV": str(job.root / "venv"),
    }
    [script] = [re.sub(r"^(--\S+\s+)*", "", each["value"]) for each in parsed if each["instruction"] == "RUN"]
    said = job.run(script, shell=SHELL).stderr
    assert said == ""
    environment = job.root / ("venv" if name.endswith("stage") else "python")
    [module] = environment.glob("lib/*/site-packages/app/__init__.py")
    assert module.stat().st_nlink == 1 and trees(other_filesystem / "pip" / "pipfast")
    assert not [path for path in environment.rglob("*") if "pipfast" in path.name]


def test_the_plain_way_beside_setup_python(job: Job, source: Path) -> None:
    """The store is in pip's cache folder, which setup-python keeps."""
    job.variables |= {"HOME": str(job.root), "INSTALL_PIPFAST": str(source)}
    steps = read("github-workflow.yml")["jobs"]["test"]["steps"]
    ran = Steps(job, {}, {})
    ran.run([step for step in steps if "run" in step and "pytest" not in step["run"]])
    store = job.root / ".cache" / "pip" / "pipfast"
    assert trees(store) and is_linked(job, store) and not list(store.glob("archives-v*/*/*"))
    assert ran.said == ""


# tox, nox and pre-commit


@pytest.fixture
def developer(job: Job) -> Job:
    """Return a machine on which pipfast, tox and nox are installed beside each other."""
    job.variables |= {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(job.root),
        "PIPFAST_STORE": str(job.root / "store"), "VIRTUALENV_OVERRIDE_APP_DATA": str(job.root / "seed"),
    }
    return job


@pytest.mark.parametrize(("name", "command", "environment"), [
    ("tox.ini", "tox --notest", ".tox/py"), ("noxfile.py", "nox --install-only", ".nox/tests"),
])
def test_environments_are_filled_from_the_store(name: str, command: str, environment: str, developer: Job) -> None:
    shutil.copy(FOLDER / name, developer.work)
    developer.run(f'"{sys.executable}" -m {command}', shell=SHELL)
    [module] = (developer.work / environment).glob("lib/*/site-packages/app/__init__.py")
    assert any(path.samefile(module) for path in developer.root.glob("store/trees-v*/*/*/tree/app/__init__.py"))


def test_pre_commit_refuses_what_cannot_be_resolved(developer: Job) -> None:
    [hook] = read("pre-commit-config.yaml")["repos"][0]["hooks"]
    assert re.search(hook["files"], "requirements.txt")
    developer.run(hook["entry"], shell=SHELL)
    (developer.work / "requirements.txt").write_text("app\nlibrary==99\n")
    with pytest.raises(AssertionError, match="No matching distribution found for library==99"):
        developer.run(hook["entry"], shell=SHELL)
