"""A hub for tests: a local server that answers like Hugging Face's."""

import gzip
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias

_BLOCK = 2**20

COMMIT = "0123456789abcdef0123456789abcdef01234567"

Refusal: TypeAlias = tuple[int, str]
"""A status, and what the hub says of it."""


@dataclass
class Hub:
    """The files of the hub, and the requests it received."""

    files: dict[str, bytes]
    name: str = "org/small"
    revisions: tuple[str, ...] = ("main", "v1", COMMIT)
    refusal: Refusal | None = None
    breaks_after: int | None = None  # bytes of an answer, until the connection is cut
    takes_ranges: bool = True
    takes_any_revision: bool = False
    commit: str = COMMIT
    extra: int = 0  # bytes that are sent after the announced ones
    encoding: str = ""  # of a body that is sent compressed, although nobody asked for that
    error: bytes | None = None  # what an answer to GET says, if it is a refusal
    headers: dict[str, str] = field(default_factory=dict)  # of every answer
    lengths: dict[str, int] = field(default_factory=dict)  # announced, where one is not that of the content
    sent: int = 0  # bytes of bodies
    etags: dict[str, str] = field(default_factory=dict)  # where one is not the SHA-256 of the content
    endpoint: str = ""
    asked: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)

    @property
    def fetched(self) -> list[str]:
        """The files whose content was requested, with the first byte if it is not 0."""
        return [line.removeprefix("GET ") for line in self.asked if line.startswith("GET ")]

    def found(self, path: str) -> bytes | Refusal:
        """The content at `/org/name/resolve/REVISION/FILE`."""
        if self.refusal is not None:
            return self.refusal
        name, _, rest = path.strip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        if name != self.name:
            return 401, "RepoNotFound"
        if not self.takes_any_revision and revision.replace("%2F", "/") not in self.revisions:
            return 404, "RevisionNotFound"
        return self.files.get(file, (404, "EntryNotFound"))


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        """Do not log."""

    def do_HEAD(self) -> None:
        self._head(self.hub.found(self.path), 0)

    def do_GET(self) -> None:
        if self.hub.error is not None:
            self._fail(self.hub.error)
            return
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1]) if self.hub.takes_ranges else 0
        found = self.hub.found(self.path)
        self._head(found, start)
        if isinstance(found, bytes):
            end, self.hub.breaks_after = self.hub.breaks_after, None
            self._send(found[start:] if end is None else found[start : start + end])
            for _ in range(0, self.hub.extra, _BLOCK):
                self._send(bytes(_BLOCK))
            self.close_connection = end is not None or bool(self.hub.extra or self.hub.encoding)

    def _send(self, content: bytes) -> None:
        if self.hub.encoding:
            content = gzip.compress(content)
        with suppress(OSError):  # the client has heard enough
            self.wfile.write(content)
            self.hub.sent += len(content)

    def _fail(self, block: bytes) -> None:
        """An error with a body of 100 MB."""
        self.send_response(500)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        for _ in range(0, 100 * _BLOCK, _BLOCK):
            self._send(block * (_BLOCK // len(block)))
        self.close_connection = True

    def _head(self, found: bytes | Refusal, start: int) -> None:
        hub, file = self.hub, self.path.rpartition("/")[2]
        hub.asked.append(f"{self.command} {file}" + (f" from {start}" if start else ""))
        hub.tokens.add(self.headers.get("Authorization"))
        if isinstance(found, bytes):
            self.send_response(206 if start else 200)
            etag = hub.etags.get(file) or hashlib.sha256(found).hexdigest()
            self.send_header("ETag", f'"{etag}"')
            self.send_header("X-Repo-Commit", hub.commit)
            for name, value in hub.headers.items():
                self.send_header(name, value)
            if self.command == "GET" and hub.encoding:
                self.send_header("Content-Encoding", hub.encoding)
            if self.command == "HEAD" or not (hub.extra or hub.encoding):
                self.send_header("Content-Length", str(hub.lengths.get(file, len(found)) - start))
        else:
            self.send_response(found[0])
            self.send_header("X-Error-Code", found[1])
            self.send_header("X-Error-Message", found[1])
            self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve the hub on a free local port."""
    handler = type("Answer", (_Answer,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
