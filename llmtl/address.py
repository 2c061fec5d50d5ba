"""Where a server listens and how it is reached.

Not covered: TLS; put a reverse proxy in front.
"""

import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from llmtl.errors import InputError, ServingError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def url(host: str, port: int) -> str:
    """Write the URL at which this machine reaches a server bound to `host`, without a slash at its end."""
    reached = _WILDCARDS.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def is_concrete(host: str) -> bool:
    """Say whether a server bound to `host` listens at that address, and not at all of this machine."""
    return host not in _WILDCARDS


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach a server bound to `host`."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def without_proxy(*, at_all: bool = False) -> Iterator[None]:
    """Let no proxy setting stand between this process and its own servers while the context is open.

    For libraries that look at the environment themselves. What they ask elsewhere goes as it is set, unless `at_all`
    says that they ask nobody there: httpx makes no client where the environment names a proxy that it cannot use, such
    as SOCKS without its package, whatever address is meant.
    """
    before = {name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy")}
    given = before["no_proxy"] or before["NO_PROXY"]
    os.environ.update(dict.fromkeys(before, "*" if at_all else ",".join(filter(None, (given, *_LOOPBACK)))))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def free_port(host: str, port: int, *, option: str) -> int:
    """Take `port`, or any free one for 0, and check that a server could listen there.

    Raises `ServingError` for a port in use and `InputError` for a host or port that cannot be bound; `option` is what
    the user would change.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except (socket.gaierror, UnicodeError):
        raise InputError(f"There is no host '{host}' on this machine; use 127.0.0.1, or 0.0.0.0 for all.") from None
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are still closing can be taken again.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except PermissionError:
            raise InputError(f"Port {port} needs special rights; choose one above 1023 with {option}.") from None
        except OSError as error:
            raise _taken(host, port, option, error) from None
        return int(probe.getsockname()[1])


def _taken(host: str, port: int, option: str, error: OSError) -> InputError | ServingError:
    import errno

    if error.errno == errno.EADDRINUSE:
        return ServingError(f"Port {port} is in use; stop what uses it, or choose another with {option}.")
    return InputError(f"Cannot listen on '{host}': {error.strerror}; use an address of this machine.")
