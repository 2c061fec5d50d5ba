"""`python -m llmtl.serving.front.front_proxy PLAN`: listens for clients and passes them on, until it is told to stop.

It is told by lines on its standard input: a `Condition`, of which `stopping` lets the requests under way finish and
then ends it. The end of that input is the end of llmtl, and its own. Not covered: starting the server behind it
(`llmtl.serving.server.supervisor`).
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from llmtl.serving.front.client_connection import ClientConnection
from llmtl.serving.front.plan import FrontPlan, raise_descriptor_limit
from llmtl.serving.front.refusals import Condition

_BACKLOG = 2048
_SWEEP_SECONDS = 0.5
_MOST_REFUSED = 256
"""Refused connections that are told so; more are just ended."""
_CANNOT_LISTEN = 3


class FrontProxy:
    """The connections of all clients, as the `ConnectionRegistry` that each of them has."""

    def __init__(self, plan: FrontPlan, loop: asyncio.AbstractEventLoop, *, descriptors: int) -> None:
        self._plan = plan
        self.loop = loop
        self.limits = plan.limits.within(descriptors)
        self.socket: Path = plan.socket
        self.own_names_only = plan.own_names_only
        self.condition = Condition.STARTING
        self._connections: set[ClientConnection] = set()
        self._refused: set[ClientConnection] = set()
        self._addresses: Counter[str] = Counter()
        self._idle: dict[ClientConnection, None] = {}  # waiting for their clients, the longest first
        self._unread = b""
        self._end = asyncio.Event()

    def admit(self, connection: ClientConnection, address: str) -> bool:
        """Take a connection in, for which one that waits for its client may have to go; False where there is no room.

        So clients that say nothing, or nothing any more, keep nobody out.
        """
        crowded = self._addresses[address] >= self.limits.max_connections_per_address
        if crowded or len(self._connections) >= self.limits.max_connections:
            other = next((each for each in self._idle if not crowded or each.address == address), None)
            if other is None:
                if len(self._refused) >= _MOST_REFUSED:
                    connection.transport.abort()
                self._refused.add(connection)
                return False
            other.evict()
            self._forget(other, other.address)
            self._refused.add(other)
        self._connections.add(connection)
        self._addresses[address] += 1
        return True

    def mark_idle(self, connection: ClientConnection) -> None:
        """Note that a connection waits for its client."""
        self._idle.pop(connection, None)
        self._idle[connection] = None

    def mark_busy(self, connection: ClientConnection) -> None:
        """Note that it does not any more."""
        self._idle.pop(connection, None)

    def remove(self, connection: ClientConnection, address: str) -> None:
        """Forget a connection."""
        self._refused.discard(connection)
        self._forget(connection, address)

    async def serve(self) -> None:
        """Serve until told to stop; raises `OSError` where it cannot listen."""
        server = await self.loop.create_server(
            lambda: ClientConnection(self), self._plan.host, self._plan.port, backlog=_BACKLOG
        )
        print("listens", flush=True)
        self.loop.add_reader(0, self._read_commands)
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._set_condition, Condition.STOPPING)
        while not self._end.is_set():
            self._sweep()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._end.wait(), _SWEEP_SECONDS)
        server.close()
        await self._drain()

    async def _drain(self) -> None:
        """Let the answers that are due be given, within their time."""
        for connection in list(self._connections):
            connection.stop()
        latest = self.loop.time() + self.limits.drain_seconds
        while any(each.answer_pending for each in self._connections) and self.loop.time() < latest:
            self._sweep()
            await asyncio.sleep(0.05)
        for connection in list(self._connections):
            if connection.answer_pending:
                connection.give_up()
        for _ in range(20):  # what was written goes out
            if not self._connections:
                return
            await asyncio.sleep(0.05)

    def _read_commands(self) -> None:
        """Read what llmtl says."""
        said = os.read(0, 4096)
        if not said:
            os._exit(0)  # llmtl is gone, and the server with it
        *lines, self._unread = (self._unread + said).split(b"\n")
        for line in lines:
            self._set_condition(Condition(line.decode()))

    def _set_condition(self, condition: Condition) -> None:
        """Take a new condition; once it is stopping, it stays so."""
        if self.condition is not Condition.STOPPING:
            self.condition = condition
        if condition is Condition.STOPPING:
            self._end.set()

    def _sweep(self) -> None:
        """End what has waited for too long."""
        now = self.loop.time()
        for connection in (*self._connections, *self._refused):
            connection.check(now)

    def _forget(self, connection: ClientConnection, address: str) -> None:
        """Take a connection out of the count."""
        self._idle.pop(connection, None)
        if connection in self._connections:
            self._connections.remove(connection)
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]


async def _serve(plan: FrontPlan) -> None:
    await FrontProxy(plan, asyncio.get_running_loop(), descriptors=raise_descriptor_limit()).serve()


def main(arguments: list[str]) -> int:
    """Serve by the plan that is given as JSON, and return the exit code."""
    try:
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    except ImportError:  # it comes with vLLM
        factory = asyncio.new_event_loop
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_serve(FrontPlan.from_json(arguments[0])))
    except OSError as error:
        print(error.strerror or error, file=sys.stderr)
        return _CANNOT_LISTEN
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
