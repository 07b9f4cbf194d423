"""Files of the .dist-info folder that installing writes, RECORD last."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

from pipfast.wheel.record import digest_and_size, installed_rows, record_text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pipfast.install.plan import Batch, Plan
    from pipfast.store.manifest import TreeManifest


class Installed(NamedTuple):
    """A wheel whose files are in place, and what pip has to say of it."""

    manifest: TreeManifest
    plan: Plan
    lib_dir: str
    changed: Collection[str]
    """Paths in RECORD of scripts that were rewritten."""
    made: Sequence[str]
    """Full paths of scripts that were made."""
    requested: bool
    direct_url: str | None
    """The content of direct_url.json; None for what an index has."""


def is_info(batch: Batch, info_dir: str) -> bool:
    """Tell whether a batch goes to the .dist-info folder, or below it.

    :param info_dir: its full path.
    """
    return f"{batch.target}/".startswith(f"{info_dir}/")


def info_batches(batches: Sequence[Batch], info_dir: str) -> list[Batch]:
    """Return what goes to the .dist-info folder; RECORD is written anew, when everything else is there."""
    return [
        batch._replace(files=tuple(file for file in batch.files if file.name != "RECORD"))
        if batch.target == info_dir else batch
        for batch in batches if is_info(batch, info_dir)
    ]


def write_info(installed: Installed, folder: str, umask: int) -> None:
    """Write what says that the package is there.

    :param folder: where the .dist-info folder's other files are.
    :raises OSError: something could not be written; each file is there whole or not at all.
    """
    mode = 0o666 & ~umask
    contents: list[tuple[str, bytes]] = [("INSTALLER", b"pip\n")]
    if installed.direct_url is not None:
        contents.append(("direct_url.json", installed.direct_url.encode("utf-8")))
    for name, content in contents:
        _write_private(f"{folder}/{name}", content, mode)
    generated = [name for name, _ in contents]
    if installed.requested:
        generated.append("REQUESTED")
        # Made where it stands, as pip does: a folder's default access list has its say.
        with open(f"{folder}/REQUESTED", "wb"):
            pass
    manifest, lib_dir = installed.manifest, installed.lib_dir
    rows = installed_rows(manifest.rows, installed.plan.installed, installed.changed, installed.made, lib_dir)
    rows += [(f"{manifest.info_dir}/{name}", *digest_and_size(f"{folder}/{name}")) for name in generated]
    _write_private(f"{folder}/RECORD", record_text(sorted(rows)), mode)


def _write_private(path: str, content: bytes, mode: int) -> None:
    """Write a file of this environment's own, whole or not at all. Raises OSError: it could not be written."""
    aside = f"{path}.{os.urandom(8).hex()}.tmp"
    descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(aside, mode)
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        raise
