"""Source distributions with undeclared build requirements, and fake torches."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support.wheels import BACKEND, Wheel, sdist_of, source_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from support.wheels import Archive

_SCRIPTS = '''

def _run(stage):
    """Run the project's own script of this stage, as setuptools runs a setup.py."""
    path = os.path.abspath("at_%s.py" % stage)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as stream:
            exec(compile(stream.read(), path, "exec"), {"__name__": "__main__", "__file__": path})


def _at(stage, hook):
    def run(*arguments, **keywords):
        _run(stage)
        return hook(*arguments, **keywords)
    return run


get_requires_for_build_wheel = get_requires_for_build_editable = _at("requires", _requires)
prepare_metadata_for_build_wheel = _at("metadata", prepare_metadata_for_build_wheel)
prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
build_wheel = _at("wheel", build_wheel)
build_editable = _at("wheel", build_editable)
'''

_READ = 'PROJECT = json.load(open("project.json", encoding="utf-8"))\nSTEM = PROJECT["stem"]\n'

_READ_LATER = """
class _Project:
    def __getitem__(self, key):
        with open("project.json", encoding="utf-8") as stream:
            return json.load(stream)[key]


PROJECT = _Project()
"""


def source(
    name: str,
    version: str = "1.0",
    *,
    scripts: Mapping[str, str],
    requires: Iterable[str] = (),
    build_requires: Iterable[str] = (),
    dynamic_requires: Iterable[str] = (),
) -> dict[str, bytes]:
    """Return a project's files by path; its build runs ``scripts``, by ``requires``, ``metadata`` or ``wheel``."""
    tree = source_tree(
        name, version, requires, build_requires=build_requires, dynamic_requires=dynamic_requires
    )
    tree["backend.py"] += _SCRIPTS.encode()
    tree |= {f"at_{stage}.py": text.encode() for stage, text in scripts.items()}
    return tree


def archive(name: str, version: str = "1.0", **options: object) -> Archive:
    """Return ``source(...)`` as a source distribution."""
    return sdist_of(name, version, source(name, version, **options))  # type: ignore[arg-type]


def backend(name: str = "maker", before: str = "") -> Archive:
    """Return the backend of ``source(...)`` as a wheel, for ``built_with``.

    Unlike that one it reads nothing of the project when it is imported.

    :param before: what the module does first then.
    """
    code = before + BACKEND.replace(_READ, _READ_LATER).replace("STEM", 'PROJECT["stem"]') + _SCRIPTS
    return Wheel(name, files={f"{name}.py": code, f"{name}_data.txt": "as installed\n"}).build()


def built_with(backend: str, name: str, version: str = "1.0", **options: object) -> Archive:
    """Return ``archive(...)`` with a backend that is installed for its build, as most have it."""
    tree = source(name, version, **options)  # type: ignore[arg-type]
    del tree["backend.py"]
    needed = options.get("build_requires", [])
    assert isinstance(needed, list)
    wanted = json.dumps([backend, *needed])
    tree["pyproject.toml"] = f'[build-system]\nrequires = {wanted}\nbuild-backend = "{backend}"\n'.encode()
    return sdist_of(name, version, tree)


def seeing(module: str, package: str) -> str:
    """Return a script that needs a module, and writes the version it saw into the wheel."""
    return (
        f"import os, {module}\n"
        f"os.makedirs('src/{package}', exist_ok=True)\n"
        f"with open('src/{package}/seen.txt', 'w') as stream:\n"
        f"    stream.write({module}.__version__)\n"
    )


def torch(version: str, *requires: str) -> Archive:
    """Return a wheel that is called torch."""
    code = f"__version__ = {version!r}\n" + "".join(f"import {each}\n" for each in requires)
    return Wheel("torch", version, requires=list(requires), files={
        "torch/__init__.py": code, "torch/utils/__init__.py": "", "torch/utils/cpp_extension.py": "",
    }).build()
