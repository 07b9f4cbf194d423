"""pip's installation of a wheel, from the store."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING, Any

from pip._internal.operations.install import wheel as pip_wheel

from pipfast.install.aside import LIB, Unmovable, move_info
from pipfast.install.place import place
from pipfast.report import logger
from pipfast.wheel.members import NotStorable
from pipfast.wheel.record import digest_and_size, installed_rows, record_text
from pipfast_hooks.guard import guarded
from pipfast_hooks.install.expectation import Expectation
from pipfast_hooks.install.placing import info_batches, place_wheel
from pipfast_hooks.install.ready import get_ready
from pipfast_hooks.install.request import Ready, Request
from pipfast_hooks.run import Run, current_run

if TYPE_CHECKING:
    from pipfast_hooks.call import Call


def _around_install_wheel(call: Call) -> Any:
    """Install from the store; whatever is unusual, pip installs itself."""
    ready, run = None, current_run()
    # Nothing is written by then: pip starts from the beginning.
    with guarded("installation left to pip"):
        request = _request(call)
        try:
            ready = get_ready(request, run)
        except NotStorable as error:
            logger.debug("pipfast: %s", error)
    if ready is None:
        return call.original()
    with pip_wheel.req_error_context(request.req_description):
        placed = place_wheel(request, ready, run)
        if placed is not None:
            _install(request, placed, run)
            _note(request, placed, run)
    # What was placed of a wheel that then went from the store is replaced by pip's own files.
    return call.original() if placed is None else None


def _request(call: Call) -> Request:
    return Request(**{name: call[name] for name in Request.__slots__ if name in call})


def _install(request: Request, ready: Ready, run: Run) -> None:
    """Write what says that the package is there: INSTALLER and its like, RECORD last."""
    assert ready.scripts is not None
    if request.warn_script_location:
        message = pip_wheel.message_about_scripts_not_on_PATH(ready.scripts.console)
        if message is not None:
            pip_wheel.logger.warning(message)
    name = ready.prepared.manifest.info_dir
    if ready.moved and ready.arranged is not None:
        try:
            _write_info(request, ready, run, f"{ready.arranged}/{LIB}/{name}")
            move_info(ready.arranged, name, ready.lib_dir)
            return
        except (OSError, Unmovable) as error:
            logger.debug("pipfast: the metadata of %s is placed file by file: %s", request.name, error)
            place(info_batches(ready), run.store.linker)
    _write_info(request, ready, run, ready.info_dir)


def _write_info(request: Request, ready: Ready, run: Run, folder: str) -> None:
    """Write the generated files of the .dist-info folder, in pip's order, to ``folder``."""
    assert ready.scripts is not None
    mode = 0o666 & ~run.umask
    contents: list[tuple[str, bytes]] = [("INSTALLER", b"pip\n")]
    if request.direct_url is not None:
        contents.append(("direct_url.json", request.direct_url.to_json().encode("utf-8")))
    for name, content in contents:
        _write_private(f"{folder}/{name}", content, mode)
    generated = [name for name, _ in contents]
    if request.requested:
        generated.append("REQUESTED")
        # Made where it stands, as pip does: a folder's default access list has its say.
        with open(f"{folder}/REQUESTED", "wb"):
            pass
    made, manifest = ready.scripts, ready.prepared.manifest
    scripts_made = made.console + made.gui
    rows = installed_rows(manifest.rows, ready.plan.installed, made.changed, scripts_made, ready.lib_dir)
    rows += [(f"{manifest.info_dir}/{name}", *digest_and_size(f"{folder}/{name}")) for name in generated]
    _write_private(f"{folder}/RECORD", record_text(sorted(rows)), mode)


def _note(request: Request, ready: Ready, run: Run) -> None:
    known, expectation = run.store.known(request.wheel_path), run.find(Expectation)
    if known is not None and expectation is not None:
        expectation.note(known.digest, ready.prepared.manifest.info_dir)


def _write_private(path: str, content: bytes, mode: int) -> None:
    """Write a file of this environment's own, whole or not at all.

    :raises OSError: it could not be written.
    """
    aside = f"{path}.{secrets.token_hex(8)}.tmp"
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


