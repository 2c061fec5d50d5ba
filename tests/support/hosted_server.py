"""A small real OpenAI-compatible server whose answers a test decides: refusals first, then replies."""

import json
import math
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def completion(text, *, steps=(), finish="stop", prompt_tokens=100, completion_tokens=2, cached_tokens=0):
    """Return a chat completion; `steps` are pairs of a written token and the likeliest tokens' probabilities."""
    content = [
        {
            "token": token,
            "logprob": math.log(likeliest.get(token, 1e-9)),
            "bytes": None,
            "top_logprobs": [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in likeliest.items()],
        }
        for token, likeliest in steps
    ]
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": text},
        "logprobs": {"content": content} if steps else None,
    }
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": cached_tokens},
    }
    head = {"id": "c", "object": "chat.completion", "created": 0, "model": "m"}
    return {**head, "choices": [choice], "usage": usage}


class Server:
    """What a test sees of the server: `bodies` and `keys` that came; `refusals` go out before any answer."""

    def __init__(self, answer):
        self.answer = answer
        self.refusals = []
        self.bodies = []
        self.keys = []
        self.lock = threading.Lock()
        self.url = ""


def error(status, message, code=None, **headers):
    """Return a refusal in OpenAI's form."""
    content = {"error": {"message": message, "type": "x", "param": None, "code": code}}
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, content


@contextmanager
def hosted_server(answer):
    """Yield a `Server`; `answer(body)` returns a completion, or a refusal made by `error`."""
    state = Server(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with state.lock:
                state.bodies.append(body)
                state.keys.append(self.headers.get("Authorization"))
                reply = state.refusals.pop(0) if state.refusals else state.answer(body)
            status, headers, content = reply if isinstance(reply, tuple) else (200, {}, reply)
            payload = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
