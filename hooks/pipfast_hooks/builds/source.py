"""Source of a build, as keys have it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pip._internal.utils.misc import redact_auth_from_url
from pip._internal.vcs import vcs

from pipfast.store.archives import sha256_of

# e.g. `git+https://host/project.git@b3d8c1f…`: a branch or tag may be moved.
_COMMIT = re.compile("[0-9a-f]{40}")


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


def source_of_link(link: Any) -> str | None:
    """Return the source at a link, as ``source_of`` does, before it is fetched; None if the link does not tell."""
    if link is None or link.is_wheel or link.is_existing_dir():
        return None
    inside = f"#subdirectory={link.subdirectory_fragment}" if link.subdirectory_fragment else ""
    if link.is_vcs:
        before, host, path = _parts(address_of(link).partition("#")[0])
        address, _, commit = path.rpartition("@")
        return f"{before}{host}{address}@{commit}{inside}" if address and _COMMIT.fullmatch(commit) else None
    digest = digest_of(link)
    return f"sha256:{digest}{inside}" if digest else None


def digest_of(link: Any) -> str | None:
    """Return the SHA-256 of what a link leads to: the index's or the user's, or a local file's; else None."""
    if link.hash_name == "sha256" and link.hash:
        return str(link.hash).lower()
    if link.is_file and not link.is_existing_dir() and Path(link.file_path).is_file():
        return sha256_of(Path(link.file_path))
    return None
