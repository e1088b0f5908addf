"""A web server on 127.0.0.1 that misbehaves as it is told."""

import hashlib
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What is served at one path, and how badly.

    `cut`: answers that stop in the middle, for the first so many.
    `ranges`: honour Range. `claim`: added to the true length.
    `status`: answers in order, 0 for a good one. `tag`: send ETag.
    `shift`: a 206 that begins so many bytes off. `then`: the content
    after the first answer. `chunked`: no length, pieces instead.
    """

    content: bytes
    cut: int = 0
    ranges: bool = True
    claim: int = 0
    status: list = field(default_factory=list)
    tag: bool = True
    shift: int = 0
    then: bytes | None = None
    chunked: bool = False
    asked: list = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        page = self.server.pages.get(self.path.split("?")[0])
        if page is None:
            return self.plain(404)
        page.asked.append(self.headers.get("Range"))
        code = page.status.pop(0) if page.status else 0
        if code:
            return self.plain(code)
        data = page.content
        if page.then is not None and len(page.asked) > 1:
            data = page.then
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        start, code = 0, 200
        span = self.headers.get("Range")
        same = self.headers.get("If-Range", tag) == tag
        if span and page.ranges and same:
            start, code = int(span[6:].split("-")[0]), 206
            if start >= len(data):
                return self.plain(416)
        body = data[start + page.shift if code == 206 else start :]
        self.send_response(code)
        if page.tag:
            self.send_header("ETag", tag)
        if code == 206:
            first = start + page.shift
            self.send_header(
                "Content-Range",
                f"bytes {first}-{len(data) - 1}/{len(data)}",
            )
        if page.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body) + page.claim))
        self.end_headers()
        if page.cut > 0:
            page.cut -= 1
            body, broken = body[: len(body) // 2], True
        else:
            broken = page.claim > 0
        if page.claim < 0:
            body = body[: page.claim]
        if page.chunked:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
            if not broken:
                self.wfile.write(b"0\r\n\r\n")
        else:
            self.wfile.write(body)
        self.close_connection = broken or page.claim < 0

    def plain(self, code):
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def serving():
    """Yields (address, pages); put `Page`s into pages by path."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.pages = {}
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.pages
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
