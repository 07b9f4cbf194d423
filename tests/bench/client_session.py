"""Script that fetches pages and files through pip's session; run by an interpreter that has pip.

Where packages come from - index, proxies, certificates, credentials - is pip's configuration, read by pip.
Reads one JSON object on stdin, ``{"pages": [{"name", "path"}], "files": [{"url", "sha256", "path"}]}``, and
writes one on stdout: ``{"find_links": [...], "absent": [names of no page]}``.
"""

from __future__ import annotations

import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pip._internal.commands import create_command  # noqa: TID251

_JSON_PAGE = "application/vnd.pypi.simple.v1+json"
_CHUNK_BYTES = 1 << 20
_CONNECTIONS = 6
"""Below the number of connections that pip's session keeps for one host."""


def main() -> None:
    """Answer the request on stdin."""
    request = json.load(sys.stdin)
    command: Any = create_command("download")
    options, _ = command.parse_args(["--no-cache-dir", "--quiet", "unused"])
    with command.main_context():
        session = command.get_default_session(options)
        index = options.index_url.rstrip("/")

        def page(wanted: dict[str, str]) -> str | None:
            response = session.get(f"{index}/{wanted['name']}/", headers={"Accept": _JSON_PAGE})
            if response.status_code == 404:
                return wanted["name"]
            response.raise_for_status()
            _write(Path(wanted["path"]), json.dumps(response.json()).encode())
            return None

        def file(wanted: dict[str, str]) -> None:
            path = Path(wanted["path"])
            digest = hashlib.sha256()
            partial = path.with_name(path.name + ".partial")
            partial.parent.mkdir(parents=True, exist_ok=True)
            response = session.get(wanted["url"], stream=True, headers={"Accept-Encoding": "identity"})
            response.raise_for_status()
            with partial.open("wb") as target:
                for chunk in response.iter_content(_CHUNK_BYTES):
                    digest.update(chunk)
                    target.write(chunk)
            if digest.hexdigest() != wanted["sha256"]:
                raise SystemExit(f"bench: {path.name} did not arrive whole")
            partial.rename(path)

        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            absent = [name for name in pool.map(page, request["pages"]) if name]
            list(pool.map(file, request["files"]))
    json.dump({"find_links": list(options.find_links), "absent": absent}, sys.stdout)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.rename(path)


if __name__ == "__main__":
    main()
