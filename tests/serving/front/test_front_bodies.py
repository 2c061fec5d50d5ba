"""Clients that read nothing, or whose bodies are all but a body: what they may take of the front and of the server."""

import contextlib
import socket

import psutil
import pytest

from tests.support.front_place import Place, refusal, to_the_end, until, up_to


def test_a_client_that_never_reads_holds_no_memory_and_is_ended(hasty):
    front = psutil.Process(hasty.front.pid)
    before = front.memory_info().rss
    with hasty.connection() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        own = connection.getsockname()
        until(lambda: own not in [each.raddr for each in front.net_connections("tcp4") if each.raddr])
        assert front.memory_info().rss - before < 10_000_000
    assert hasty.client.post("/echo", content=b"abc").text == "3"


@pytest.mark.parametrize("framing", [b"1;%s\r\nx\r\n", b"0\r\nX-Trailer: %s", b"0\r\n" + b"X: y\r\n" * 200_000 + b"%s"])
def test_a_body_that_is_all_chunk_extensions_or_trailers_is_refused(place, framing):
    with place.connection() as connection:
        connection.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            connection.sendall(framing % (b"a" * 2_000_000))
        assert refusal(to_the_end(connection))[:1] == (400,)
    assert place.client.post("/echo", content=b"abc").text == "3"


def test_chunks_of_one_byte_with_short_trailers_are_a_body_as_any(place):
    chunks = b"1\r\nx\r\n" * 300_000
    with place.connection() as connection:
        for _ in range(2):
            connection.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
            connection.sendall(b"0\r\nX-Sum: y\r\n\r\n")
            assert b"200 OK" in up_to(b"\r\n\r\n300000", connection)


def test_a_host_in_a_trailer_lets_nobody_in(tmp_path):
    place = Place(tmp_path, own_names_only=True)
    asking = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n%sTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n%s\r\n"
    try:
        place.start_backend()
        with place.connection() as connection:
            connection.sendall(asking % (b"", b"Host: evil.example\r\n"))
            assert up_to(b"\r\n\r\n1", connection).startswith(b"HTTP/1.1 200")
            connection.sendall(asking % (b"Host: evil.example\r\n", b""))
            assert refusal(to_the_end(connection))[0] == 403
    finally:
        place.close()


def test_a_second_request_is_never_answered_inside_the_answer_of_the_first(hasty):
    with hasty.connection() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        said = connection.recv(1000)
        connection.sendall(b"GET /slow?s=0 HTTP/1.1\r\nHost: x\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            said += to_the_end(connection)
    body = said.partition(b"\r\n\r\n")[2]
    assert len(body) < 20_000_000
    assert not body.strip(b"x")
