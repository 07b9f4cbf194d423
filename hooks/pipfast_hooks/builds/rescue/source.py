"""Source of a build, and the distributions that the build sees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._internal.utils.misc import redact_auth_from_url
from pip._internal.vcs import vcs
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.requirements import applies, read_requirement
from pipfast.rescue.installed import record_of
from pipfast.rescue.wheels import Visible, record_of_archive
from pipfast.store.archives import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from importlib.metadata import Distribution

    from pipfast.store.layout import Layout
    from pipfast_hooks.builds.rescue.overlay import Found


def source_of(requirement: Any) -> str | None:
    """Return the source of a requirement as a note's key has it; None for a folder, which can change.

    :returns: ``sha256:<digest>`` of an archive, or ``git+<address>@<commit>``; with ``#subdirectory=``.
    """
    link = requirement.link
    if link is None or requirement.editable or link.is_existing_dir():
        return None
    inside = f"#subdirectory={link.subdirectory_fragment}" if link.subdirectory_fragment else ""
    if link.is_vcs:
        backend = vcs.get_backend_for_scheme(link.scheme)
        if backend is None:
            return None
        commit = backend.get_revision(requirement.source_dir)
        before, host, path = _parts(address_of(link).partition("#")[0])
        return f"{before}{host}{path.rpartition('@')[0] if '@' in path else path}@{commit}{inside}"
    if not requirement.local_file_path:
        return None
    return f"sha256:{sha256_of(Path(requirement.local_file_path))}{inside}"


def address_of(link: Any) -> str:
    """Return a link's whole address without credentials."""
    scheme, host, _ = _parts(link.url)
    who, at, _ = host.rpartition("@")
    # pip's function breaks an address without a host. Over SSH a name alone is a login and no secret.
    is_open = not at or (scheme.endswith("ssh://") and ":" not in who)
    return str(link.url) if is_open else redact_auth_from_url(link.url)


def _parts(address: str) -> tuple[str, str, str]:
    """Return scheme with ``://``, host with credentials, and path."""
    scheme, separator, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + separator, host, slash + path


def visible_from(
    names: Iterable[str], found: Sequence[Found], there: Mapping[str, Distribution], layout: Layout
) -> tuple[Visible, ...]:
    """Return the distributions of these names and all their dependencies, by name.

    :param found: the distributions of the overlay, which win over the target's.
    :param there: all that is installed: the overlay's own, where it is made already, and the target's.
    :param layout: the store, whose archives tell their records.
    """
    over = {canonicalize_name(each.name): each for each in found}
    needed = {canonicalize_name(name) for name in names}
    waiting, visible = list(needed), {}
    while waiting:
        name = waiting.pop()
        if name in visible:
            continue
        here, new = there.get(name), over.get(name)
        if new is not None:
            requires: Iterable[str] = new.requires
            record = record_of_archive(layout, new.sha256) if new.sha256 else None
            if record is None and here is not None and here.version == new.version:
                record = record_of(here)
            visible[name] = Visible(name, new.version, new.sha256, record, name in needed)
        elif here is not None:
            requires = here.requires or ()
            visible[name] = Visible(name, here.version, None, record_of(here), name in needed)
        else:
            continue
        for text in requires:
            each = read_requirement(text)
            if each is not None and applies(each.marker):
                waiting.append(canonicalize_name(each.name))
    return tuple(visible[name] for name in sorted(visible))
