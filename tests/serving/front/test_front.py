"""A front in its own process, before a real server at a Unix socket, asked by sockets and by httpx."""

import contextlib
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from llmtl.errors import ServingError
from llmtl.serving.front.plan import ConnectionLimits, FrontPlan
from llmtl.serving.front.refusals import Condition
from llmtl.serving.server.front_process import FrontProcess
from tests.support.front_place import LIMITS, Place, refusal, to_the_end, until, up_to
from tests.support.live_bundle import error_of


def test_requests_and_answers_pass_as_they_are(place):
    client = place.client
    assert client.post("/echo", content=b"y" * 900_000).text == "900000"
    assert client.post("/echo", content=iter([b"ab", b"cde"])).text == "5"  # chunked
    assert client.post("/echo", content=b"abc", headers={"Expect": "100-continue"}).text == "3"
    assert client.head("/slow?s=0").headers["content-length"] == "4"
    assert client.get("/pieces").text == "onetwo"
    assert client.get("/nothing").status_code == 404
    assert len(client.get("/big").content) == 20_000_000
    for _ in range(3):  # one connection for all of it
        assert client.get("/slow?s=0").text == "done"


def test_many_at_once_get_their_own_answers(place):
    def ask(size):
        with httpx.Client(base_url=place.url, timeout=60, trust_env=False) as client:
            return [client.post("/echo", content=b"z" * size).text for _ in range(5)]

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(1, 60, 10))) == [[str(size)] * 5 for size in range(1, 60, 10)]


def test_an_answer_that_comes_before_the_body_ended_is_heard(place):
    assert place.client.post("/refuse", content=b"y" * 500_000).status_code == 413
    assert place.client.post("/echo", content=b"abc").text == "3"


def test_a_request_in_one_piece_with_the_end_of_a_body_that_was_answered_is_a_request(place):
    last = b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    for cut in (0, 20, len(last) - 2, len(last)):  # how much of the next request comes in that piece
        with place.connection() as connection:
            connection.sendall(b"POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n" + b"y" * 20)
            up_to(b"\r\n\r\nno", connection)
            connection.sendall(b"y" * 30 + last[:cut])
            time.sleep(0.1)
            if cut < len(last):
                connection.sendall(last[cut:])
            assert to_the_end(connection).endswith(b"\r\n\r\n3")


def test_one_request_in_many_small_pieces_is_put_together(place):
    with place.connection() as connection:
        for byte in b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc":
            connection.sendall(bytes([byte]))
        assert to_the_end(connection).endswith(b"3")


@pytest.mark.parametrize("cut", [0, 20, 90, 150, 168, 170])
def test_an_offer_to_speak_something_else_is_left_alone_and_the_body_arrives(place, cut):
    ask = b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUPGRADE: h2c\r\n"
    ask += (
        b"HTTP2-Settings: A\r\nContent-Length: 30\r\nX-Pad: 1234567890\r\n\r\n"
        + b"GET /die HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    with place.connection() as connection:
        for _ in range(2):  # the connection stays as good as any
            connection.sendall(ask[:cut])
            time.sleep(0.05)
            connection.sendall(ask[cut:])
            assert b"200 OK" in up_to(b"\r\n\r\n30", connection)


def test_a_tunnel_is_not_offered(place):
    with place.connection() as connection:
        connection.sendall(b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert refusal(to_the_end(connection))[:1] == (400,)


@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 3\r\n\r\nabc",
        b"Transfer-Encoding: chunked, identity\r\n\r\nabc",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        b"Content-Length: 3, 3\r\n\r\nabc",
        b"Content-Length: +3\r\n\r\nabc",
        b"X: y\r\n Content-Length: 60\r\nContent-Length: 3\r\n\r\nabc",
        b"X: y\nContent-Length: 3\r\n\r\nabc",
        b"X: y\rContent-Length: 60\r\nContent-Length: 3\r\n\r\nabc",
        b"Transfer-Encoding: chunked\r\n\r\n3;a\nx\r\nabc\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
        b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc",
    ],
)
def test_a_request_whose_end_can_be_read_in_two_ways_reaches_nobody(place, sent):
    smuggled = b"GET /die HTTP/1.1\r\nHost: x\r\n\r\n"
    with place.connection() as connection:
        connection.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\n" + sent + smuggled)
        assert refusal(to_the_end(connection))[0] == 400
    assert place.client.post("/echo", content=b"abc").text == "3"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-", 408, "request_timeout"),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", 408, "request_timeout"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "invalid_http"),
        (b"GET /slow?s=1 HTTP/1.1\r\nHost: x\r\n\r\n" * 2, 400, "pipelined"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Long: y\r\n" * 7000, 431, "headers_too_long"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, "headers_too_long"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "invalid_http"),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400, "invalid_target"),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400, "invalid_http"),
        (b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n", 400, "invalid_target"),
        (b"GET /slow?s=0 HTTP/1.1\r\n\r\n", 400, "invalid_host"),
        (b"GET /slow?s=0 HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400, "invalid_host"),
    ],
)
def test_what_comes_too_slowly_or_is_no_request_is_refused_and_ended(hasty, sent, status, code):
    with hasty.connection() as connection:
        connection.sendall(sent)
        found, headers, error = refusal(to_the_end(connection))
    assert (found, error["code"], headers["connection"]) == (status, code, "close")
    assert set(error) == {"message", "type", "param", "code"}


def test_a_later_request_of_a_connection_has_no_more_time_than_the_first(hasty):
    with hasty.connection() as connection:
        connection.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        up_to(b"\r\n\r\n3", connection)
        connection.sendall(b"POST /echo HT")
        assert refusal(to_the_end(connection))[0] == 408


def test_a_whole_address_is_asked_as_its_path_is(place):
    place.front.tell(Condition.READY)
    with place.connection() as connection:
        connection.sendall(b"POST http://x/echo?y HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        assert up_to(b"\r\n\r\n3", connection).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET https://x:1/ready HTTP/1.1\r\nHost: x\r\n\r\n")
        assert up_to(b"}", connection).endswith(b'{"status":"ready"}')


def test_http_1_0_needs_no_host_and_is_answered_once(place):
    with place.connection() as connection:
        connection.sendall(b"POST /echo HTTP/1.0\r\nContent-Length: 3\r\n\r\nabcGET /die HTTP/1.0\r\n\r\n")
        assert to_the_end(connection).count(b"HTTP/1.1 200") == 1
    assert place.client.post("/echo", content=b"abc").text == "3"


def test_who_says_nothing_is_ended_silently(hasty):
    with hasty.connection() as connection:
        assert to_the_end(connection) == b""


def test_connections_that_wait_make_room_and_those_that_work_do_not(place):
    def ask():  # by a connection of its own: one that was kept may be ended at the very moment
        return httpx.post(f"{place.url}/echo", content=b"abc", trust_env=False, timeout=60)

    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(place.connection()) for _ in range(8)]
        assert ask().text == "3"  # the oldest idle one went
        assert to_the_end(idle[0]) == b""
        del idle
        working = [stack.enter_context(place.connection()) for _ in range(8)]
        for connection in working:
            connection.sendall(b"GET /held HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        until(lambda: place.backstage("/holds") == "8")
        answer = ask()
        assert error_of(answer, 503)["code"] == "too_many_connections"
        assert answer.headers["retry-after"] == "1"
        place.backstage("/release")
        assert all(to_the_end(connection).endswith(b"done") for connection in working)
    until(lambda: ask().status_code == 200)


def test_probes_hear_how_the_server_is(place):
    for condition, status in ((Condition.STARTING, 503), (Condition.DEGRADED, 503), (Condition.READY, 200)):
        place.front.tell(condition)
        until(lambda told=condition: place.client.get("/health").json() == {"status": told.value})
        assert [place.client.get(path).status_code for path in ("/health", "/ready", "/live")] == [status, status, 200]
        assert place.client.head("/ready").status_code == status


def test_a_name_that_is_not_of_this_machine_is_refused_where_nobody_needs_a_key(tmp_path):
    place = Place(tmp_path, own_names_only=True)
    try:
        place.start_backend()
        for host in ("evil.example", "127.0.0.1.evil.example", "", "[::1].evil.example", "localhost@evil.example"):
            answer = place.client.post("/echo", content=b"x", headers={"Host": host})
            assert error_of(answer, 403)["code"] == "host_not_allowed"
            assert place.client.get("/ready", headers={"Host": host}).status_code == 503
        for host in ("LOCALHOST:1", "localhost.", "127.0.0.1:80", "[::1]:80", "[::1]", "a.localhost"):
            assert place.client.post("/echo", content=b"x", headers={"Host": host}).status_code == 200
        with place.connection() as connection:  # a whole address names a host, too
            connection.sendall(b"GET http://[::1]:1/slow?s=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert up_to(b"done", connection).startswith(b"HTTP/1.1 200")
            connection.sendall(b"GET http://evil.example/slow?s=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert refusal(to_the_end(connection))[0] == 403
        asking = b"POST /echo HTTP/1.1\r\nHost: %s\r\n%sContent-Length: 1\r\n\r\nx"
        for hosts in ((b"localhost", b"Host: evil.example\r\n"), (b"evil.example", b"")):
            # a connection that was let in under one name is not under another
            with place.connection() as connection:
                for _ in range(2):
                    connection.sendall(asking % (b"localhost", b""))
                    assert up_to(b"\r\n\r\n1", connection).startswith(b"HTTP/1.1 200")
                connection.sendall(asking % hosts)
                assert refusal(to_the_end(connection))[0] == 403
    finally:
        place.close()


def test_it_stays_while_servers_come_and_go(mortal):
    client = mortal.client
    starting = error_of(client.post("/echo", content=b"x"), 503)
    assert (starting["code"], starting["message"].split(";")[0]) == ("not_ready", "The server is starting")
    mortal.start_backend()
    with ThreadPoolExecutor() as pool:
        under_way = [pool.submit(client.get, "/slow?s=5") for _ in range(3)]
        streamed = pool.submit(client.get, "/pieces?die")
        lost = [error_of(each.result(), 503)["code"] for each in under_way]
        with pytest.raises(httpx.RemoteProtocolError):  # a part of it went out, and it must not pass for the whole
            streamed.result()
    assert lost == ["engine_failed"] * 3
    mortal.front.tell(Condition.DEGRADED)
    answer = client.post("/echo", content=b"x")
    assert "being started again" in error_of(answer, 503)["message"]
    assert answer.headers["retry-after"] == "5"
    mortal.start_backend()
    assert client.post("/echo", content=b"abc").text == "3"


def nobody_listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_what_is_under_way_is_finished_before_it_ends(mortal):
    mortal.start_backend()
    client = mortal.client
    client.post("/echo", content=b"x")  # an idle connection does not hold it up
    with ThreadPoolExecutor() as pool, mortal.connection() as half:
        half.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\n")
        held, late = pool.submit(client.get, "/held"), pool.submit(client.get, "/slow?s=60")
        until(lambda: mortal.backstage("/holds") == "2")
        begun = time.monotonic()
        stop = threading.Thread(target=mortal.front.stop)
        stop.start()
        until(lambda: nobody_listens(mortal.port))
        mortal.backstage("/release")
        assert held.result().text == "done"
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{mortal.url}/live", trust_env=False)
        assert "ending" in error_of(late.result(), 503)["message"]
        stop.join()
    assert LIMITS.drain_seconds <= time.monotonic() - begun < 60  # which the late one would have taken


def test_it_is_started_again_and_ends_with_llmtl(mortal):
    mortal.start_backend()
    mortal.front.tell(Condition.READY)
    first = mortal.front.pid
    os.kill(first, signal.SIGKILL)
    until(lambda: mortal.front.keep_up() or mortal.front.pid != first)
    assert mortal.client.get("/ready").json() == {"status": "ready"}
    mortal.front._process.stdin.close()  # as when llmtl is killed
    assert mortal.front._process.wait(60) == 0


def test_a_port_in_use_is_told(tmp_path, place):
    plan = FrontPlan("127.0.0.1", place.port, tmp_path / "s", False, LIMITS)
    front = FrontProcess(plan, log=tmp_path / "log")
    with pytest.raises(ServingError, match=r"Nothing can listen on '127\.0\.0\.1:"):
        front.start()


def test_few_descriptors_mean_few_connections():
    assert ConnectionLimits().within(160).max_connections == 48
    assert ConnectionLimits().within(20_000).max_connections == 1024
