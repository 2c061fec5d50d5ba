import socket

import pytest

from llmtl.address import free_port, is_loopback, url
from llmtl.errors import InputError, ServingError


@pytest.fixture
def listener():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_in_use_is_named_with_the_option_that_changes_it(listener):
    with pytest.raises(ServingError, match=f"Port {listener} is in use.*--playground-port"):
        free_port("127.0.0.1", listener, option="--playground-port")


def test_a_port_in_use_on_this_machine_is_also_in_use_for_all(listener):
    with pytest.raises(ServingError, match="in use"):
        free_port("0.0.0.0", listener, option="--port")


def test_zero_is_any_free_port():
    assert free_port("127.0.0.1", 0, option="--port") > 0


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.77"])
def test_a_host_that_is_not_this_machine(host):
    with pytest.raises(InputError, match=host):
        free_port(host, 0, option="--port")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("localhost", "http://localhost:80"),
    ],
)
def test_the_url_by_which_this_machine_reaches_it(host, expected):
    assert url(host, 80) == expected


def test_loopback():
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "example.org"))
