"""A server that gives one canned answer to everything: for endpoints whose answers are odd or of no matter."""

import contextlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def canned(status, body, *, seconds=0.0):
    """Yield the address of a server that answers `status` and `body` (bytes, or a value for JSON) after `seconds`."""

    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            if over.wait(seconds):
                return
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            with contextlib.suppress(ConnectionError):  # of a client that did not wait
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()
