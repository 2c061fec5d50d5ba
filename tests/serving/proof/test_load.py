"""The measurement over live servers is in test_serve_classifier and test_serve_vllm; here a small real one."""

import itertools
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from llmtl.errors import ServingError
from llmtl.serving.proof.load import measure_load, spliced
from llmtl.serving.proof.target import LiveEndpoint, warm_up

ANSWER_SECONDS = 0.05


class Quiet:
    """A notice that shows nothing."""

    def say(self, line):
        pass

    def status(self, doing, so_far=""):
        pass

    def clear(self):
        pass


class Slow(BaseHTTPRequestHandler):
    """Answers every request after 50 ms; every tenth with an error, where the server says so."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.at_once += 1
            self.server.most = max(self.server.most, self.server.at_once)
        time.sleep(ANSWER_SECONDS)
        with self.server.lock:
            self.server.at_once -= 1
            self.server.asked += 1
            failed = self.server.failing and self.server.asked % self.server.failing == 0
        body = b'{"error": {"message": "out of luck"}}' if failed else b"{}"
        self.send_response(503 if failed else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as made:
        made.asked, made.failing, made.at_once, made.most, made.lock = 0, 0, 0, 0, threading.Lock()
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def endpoint(server):
    return LiveEndpoint(f"http://127.0.0.1:{server.server_address[1]}", "task")


@pytest.mark.parametrize("concurrency", [1, 8])
def test_latency_and_throughput_of_a_server_of_known_speed(server, endpoint, concurrency):
    began = time.perf_counter()
    [load] = measure_load(endpoint, ["a b", "c d"], notice=Quiet(), concurrencies=(concurrency,), seconds=1.0)
    took = time.perf_counter() - began
    assert (load.concurrency, load.errors, server.most) == (concurrency, 0, concurrency)
    assert 50 <= load.p50_ms <= load.p95_ms <= 1000 * took
    # by the clock, whatever else the machine does: within the time that the call took, and no faster than the server
    assert load.requests / took <= load.requests_per_second <= concurrency / ANSWER_SECONDS
    assert server.asked == load.requests + concurrency  # as many to warm up
    # each client waits for its answer: the mean latency, which is half of the median or more, times the rate
    assert load.requests_per_second * load.p50_ms / 1000 <= 2 * concurrency


def test_the_number_of_requests_is_bounded(server, endpoint):
    [load] = measure_load(endpoint, ["a b", "c d"], notice=Quiet(), concurrencies=(3,), seconds=60.0)
    assert load.requests == 30
    assert server.asked == 33  # three to warm up


def test_errors_are_counted_and_have_no_latency(server, endpoint):
    server.failing = 10
    [load] = measure_load(endpoint, ["a b", "c d"], notice=Quiet(), concurrencies=(2,), seconds=60.0)
    assert load.errors == 2
    assert load.requests == 20


def test_a_server_that_only_fails_is_no_measurement(server, endpoint):
    server.failing = 1
    with pytest.raises(ServingError, match="503: out of luck"):
        measure_load(endpoint, ["a b"], notice=Quiet(), concurrencies=(1,), seconds=1.0)


def test_a_failed_warm_up_says_why(server, endpoint):
    server.failing = 1
    with pytest.raises(ServingError, match="503: out of luck"):
        warm_up(endpoint, "hello", seconds=5)
    with pytest.raises(ServingError, match="too long"):
        warm_up(endpoint, "hello", seconds=ANSWER_SECONDS / 5)


def test_spliced_inputs_are_halves_of_two_texts_and_do_not_repeat_before_all_were_used():
    texts = ["one two three four", "five six seven", "eight nine"]
    made = list(itertools.islice(spliced(texts), 6))
    assert len(set(made)) == 6
    assert "one two seven" in made
    assert not set(made) & set(texts)


def test_a_single_text_is_used_as_it_is():
    assert list(itertools.islice(spliced(["one two three"]), 2)) == ["one two three"] * 2
    assert next(spliced(["word"])) == "word"
