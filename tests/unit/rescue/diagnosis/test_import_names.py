"""The reviewed table of import names."""

from __future__ import annotations

import sys
from importlib.metadata import distributions

import pytest

from pipfast.requirements import canonicalize_name
from pipfast.rescue.diagnosis import import_names
from pipfast.rescue.diagnosis.import_names import modules_of, provides, reviewed, table
from support.diagnosis import contradiction


def _rows() -> list[list[str]]:
    lines = import_names._FILE.read_text(encoding="utf-8").splitlines()
    return [line.split(" ") for line in lines if line and not line.startswith("#")]


def test_the_table_can_be_reviewed() -> None:
    """One row a line, sorted, each name once: a change is one line of a diff."""
    rows = _rows()
    assert all(len(row) == 2 for row in rows)
    modules = [module for module, _ in rows]
    assert modules == sorted(set(modules), key=lambda module: (module.lower(), module))
    assert len(rows) >= 350
    assert dict(rows) == table()


def test_names_are_names() -> None:
    for module, distribution in _rows():
        assert all(part.isidentifier() for part in module.split(".")), module
        assert canonicalize_name(distribution).replace("-", "").isalnum() and distribution.isascii(), distribution


def test_python_s_own_modules_have_no_row() -> None:
    """What the standard library has, or had, is never somebody else's."""
    assert not {module.partition(".")[0] for module in table()} & set(sys.stdlib_module_names)


def test_a_namespace_has_no_row_of_its_own() -> None:
    """It is everybody's who is in it."""
    assert not import_names.namespaces() & set(table())
    assert {"google", "zope"} <= import_names.namespaces()


@pytest.mark.parametrize("module", ["Crypto", "magic", "slugify", "psycopg2", "google", "ruamel", "versioneer"])
def test_ambiguous_names_stay_out(module: str) -> None:
    assert reviewed(module) is None


@pytest.mark.parametrize(
    ("module", "distribution"),
    [("yaml", "PyYAML"), ("cv2", "opencv-python"), ("PIL", "Pillow"), ("PIL.Image", "Pillow"),
     ("dateutil", "python-dateutil"), ("factory", "factory-boy"), ("sklearn", "scikit-learn"),
     ("Cython", "Cython"),
     ("pkg_resources", "setuptools"), ("google.protobuf", "protobuf"), ("ruamel.yaml.main", "ruamel.yaml")],
)
def test_well_known_names(module: str, distribution: str) -> None:
    assert reviewed(module) == distribution


def test_case_matters_in_import_names() -> None:
    """``cython`` is another file than ``Cython`` on most disks."""
    assert reviewed("pil") is None


def test_rows_agree_with_what_is_installed_here() -> None:
    """Each row is checked against the distribution's own record, where there is one in this environment."""
    here = {}
    for distribution in distributions():
        modules = modules_of(map(str, distribution.files or ()), distribution.read_text("top_level.txt") or "")
        here[canonicalize_name(distribution.metadata["Name"])] = modules
    checked = {module: name for module, name in table().items() if canonicalize_name(name) in here}
    assert len(checked) >= 5
    against = {module: contradiction(module, here[canonicalize_name(name)]) for module, name in checked.items()}
    # Setuptools itself is checked as far as it still has the module.
    against = {module: reason for module, reason in against.items() if module not in ("pkg_resources", "pylab")}
    assert not any(against.values()), against


@pytest.mark.parametrize(
    ("files", "modules"),
    [
        (["yaml/__init__.py", "yaml/loader.py", "_yaml/__init__.py", "Y.dist-info/RECORD"], {"yaml", "_yaml"}),
        (["six.py", "__pycache__/six.cpython-311.pyc", "../../bin/six.py", "/etc/x.py"], {"six"}),
        (["google/protobuf/__init__.py", "google/protobuf/internal/api.py", "google/_upb.abi3.so"],
         {"google.protobuf", "google._upb"}),
        (["torch/__init__.py", "torch/lib/libc10.so", "functorch/a.py"], {"torch", "functorch.a"}),
        (["demo-data/x.py", "demo.pth", "README.md"], set()),
        (["attr/__init__.py", "attr/__init__.pyi", "attrs/__init__.py"], {"attr", "attrs"}),
    ],
)
def test_modules_of_a_record(files: list[str], modules: set[str]) -> None:
    assert modules_of(files) == modules


def test_an_installation_without_files_says_it_in_top_level() -> None:
    """Editable ones list a .pth file alone."""
    assert modules_of(["__editable__.demo.pth"], "demo\n_demo\n") == {"demo", "_demo"}


def test_provides_minds_the_dots() -> None:
    assert provides({"google.protobuf"}, "google.protobuf.internal")
    assert not provides({"google.protobuf"}, "google")
    assert not provides({"torch"}, "torchvision")


def test_a_false_row_is_contradicted() -> None:
    assert contradiction("yaml", frozenset({"yaml", "_yaml"})) is None
    assert contradiction("serial", frozenset({"serializer"})) == "no serial, but serializer"
