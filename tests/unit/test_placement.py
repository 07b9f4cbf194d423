"""Places of the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipfast.placement import placed
from pipfast.settings import Settings


@pytest.mark.parametrize(
    ("arguments", "environ", "configured", "store"),
    [
        ([], {}, "", None),
        (["install", "--cache-dir", "/c"], {"PIP_CACHE_DIR": "/e"}, "/f", "/c/pipfast"),
        (["install", "--cache-dir=/c", "--cache-dir=/d"], {}, "", "/d/pipfast"),
        (["install", "--cache-d=/c"], {}, "", "/c/pipfast"),
        (["install", "--", "--cache-dir=/c"], {}, "", None),
        (["install", "--cache-dir"], {}, "", None),
        (["install"], {"PIP_CACHE_DIR": "/e"}, "/f", "/e/pipfast"),
        (["install", "--isolated"], {"PIP_CACHE_DIR": "/e"}, "", None),
        (["install"], {"PIP_CACHE_DIR": ""}, "/f", "/f/pipfast"),
        (["install"], {"PIP_CACHE_DIR": "~nobody-at-all/c"}, "", f"{Path.cwd()}/~nobody-at-all/c/pipfast"),
        (["install"], {"PIP_CACHE_DIR": "/e", "PIPFAST_STORE": "/s"}, "/f", "/s"),
    ],
)
def test_places(arguments: list[str], environ: dict[str, str], configured: str, store: str | None) -> None:
    found = placed(Settings.from_environ(environ), arguments, environ, configured).store
    assert found == (Path(store) if store else None)


@pytest.mark.parametrize("named", ["store", "./store", "~nobody-at-all/store"])
def test_relative_store_is_refused_with_a_word(named: str) -> None:
    settings = Settings.from_environ({"PIPFAST_STORE": named})
    assert settings.store is None
    assert settings.problems == (f"PIPFAST_STORE is {named!r}: it must be an absolute path; using the default",)
