"""A hub on the loopback interface: what huggingface_hub asks of huggingface.co, and no more."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class LocalHub:
    """Serves `files` ({"owner/repo/name": bytes}) and notes the requests it gets.

    `cut` sends only that many bytes of each file; `etags` overrides the announced sha256.
    """

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}
        self.requests: list[tuple[str, str]] = []
        self.cut: int | None = None
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                hub.answer(self, body=False)

            def do_GET(self):
                hub.answer(self, body=True)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request, body):
        self.requests.append((request.command, request.path))
        repo, _, rest = request.path.lstrip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        data = self.files.get(f"{repo}/{name}")
        if data is None or revision not in ("main", COMMIT):
            request.send_response(404)
            request.send_header("X-Error-Code", "EntryNotFound")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        sha256 = self.etags.get(name) or hashlib.sha256(data).hexdigest()
        request.send_response(200)
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("ETag", f'"{sha256}"')
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if body:
            request.wfile.write(data[: self.cut])

    def close(self):
        self.server.shutdown()
        self.server.server_close()
