"""Keeping a server process alive: start, wait for health, warm up, restart after a crash, stop.

Every wait has a limit. Not covered: the parity check (`llmtl.serving.proof.parity`), restarting llmtl itself.
"""

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from llmtl.errors import ServingError
from llmtl.report import wording
from llmtl.serving.front.refusals import Condition
from llmtl.serving.server import diagnosis
from llmtl.serving.server.front_process import FrontProcess
from llmtl.serving.server.health_check import HealthCheck, ServerHealth
from llmtl.serving.server.notice import Notice
from llmtl.serving.server.options import RestartPolicy
from llmtl.serving.server.process import ServerProcess
from llmtl.serving.server.server_command import ServerCommand
from llmtl.serving.server.spare import Spare

_POLL_SECONDS = 0.25
_PROBE_SECONDS = 5.0
_END_SECONDS = 2.0
_DEATH_SECONDS = 10.0
"""vLLM's API server looks every 5 seconds whether its engine is alive, and ends when it is not."""


class Supervisor:
    """A server that is kept alive while the context is open; its end stops the server and all its children.

    `url` is where `/health` answers, at the command's Unix socket where it has one. A `front` is started before the
    server, told how that is, and ended before it. `warm_up` is called whenever the server has started, before it counts
    as ready; it raises `ServingError` when the server does not answer as it should.
    """

    def __init__(
        self,
        command: ServerCommand,
        *,
        url: str,
        log: Path,
        notice: Notice,
        policy: RestartPolicy,
        warm_up: Callable[[], None],
        front: FrontProcess | None = None,
    ) -> None:
        self._command = command
        self._url = url
        self._log = log
        self._notice = notice
        self._policy = policy
        self._warm_up = warm_up
        self._process: ServerProcess | None = None
        self._spare = Spare(self._made)
        self._front = front
        socket = None if command.socket is None else str(command.socket)
        # no proxy has a place between llmtl and its own server
        self._client = httpx.Client(transport=httpx.HTTPTransport(uds=socket), trust_env=False)
        self.restarts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._notice.clear()
        if self._front is not None:
            self._front.stop()
        self.stop()
        self._spare.stop()
        self._client.close()

    @property
    def pid(self) -> int | None:
        """Give the process group of the running server."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server and return when it is ready; raises `ServingError` saying why it is not."""
        if self._front is not None:
            self._front.start()
        if why := self._bring_up():
            raise ServingError(f"The server did not start: {why}; its log is '{self._log}'.")

    def watch(self) -> None:
        """Keep the server alive until interrupted; raises `ServingError` when it dies more often than allowed."""
        in_a_row = 0
        while True:
            self._tell(Condition.READY)
            if self._command.waits:
                self._spare.prepare()
            ready = time.monotonic()
            why, hung = self._wait_for_death()
            self._tell(Condition.DEGRADED)
            if time.monotonic() - ready > self._policy.forgiven_after_seconds:
                in_a_row = 0
            in_a_row = self._restart(why, in_a_row, hung=hung)

    def explained(self, error: ServingError) -> ServingError:
        """Give `error`, or why the server died where that is what is behind it."""
        why = self._death_within(_DEATH_SECONDS)
        return ServingError(f"The server died: {why}; its log is '{self._log}'.") if why else error

    def stop(self) -> None:
        """End the server and everything it started; returns when it is gone."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _restart(self, why: str, in_a_row: int, *, hung: bool) -> int:
        """Return the number of restarts in a row after the server is ready again.

        One that was `hung`, which may have been too busy, is never given up for that.
        """
        most = self._policy.max_restarts
        if hung and most:
            in_a_row = min(in_a_row, most - 1)
        while why:
            self.stop()
            if in_a_row >= most:
                times = "" if in_a_row == 0 else f" {in_a_row + 1} times"
                raise ServingError(f"The server died{times} and stays down: {why}; its log is '{self._log}'.")
            in_a_row += 1
            self.restarts += 1
            delay = self._policy.delay_seconds(in_a_row)
            ordinal = f"Restart {in_a_row} of {most}"
            self._notice.say(f"The server died: {why}. {ordinal} in {wording.duration(delay)}.")
            time.sleep(delay)
            why = self._bring_up()
        self._notice.say("The server answers again.")
        return in_a_row

    def _bring_up(self) -> str:
        """Return an empty string once a fresh server is ready, or why it is not; then nothing of it is left."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        if self._command.socket is not None:
            self._command.socket.unlink(missing_ok=True)  # of a server that was killed; vLLM would not bind over it
        self._process = self._spare.take() or self._made()
        self._process.begin()
        why = self._wait_for_health(self._process) or self._warmed_up()
        self._notice.clear()
        if why:
            why = self._death() or why
            self.stop()
        return why

    def _made(self) -> ServerProcess:
        return ServerProcess(self._command, log=self._log, grace_seconds=self._policy.grace_seconds)

    def _warmed_up(self) -> str:
        self._notice.status("Server: warming up")
        try:
            self._warm_up()
        except ServingError as error:
            return str(error).rstrip(".")
        return ""

    def _wait_for_health(self, process: ServerProcess) -> str:
        """Return an empty string when the server is healthy, or why it will not be."""
        while process.seconds < self._policy.start_seconds:
            if why := self._death():
                return why
            if self._health(_PROBE_SECONDS) == httpx.codes.OK:
                return ""
            self._keep_front_up()
            self._notice.status(f"Server: {diagnosis.doing(process.lines())}", wording.duration(process.seconds))
            time.sleep(_POLL_SECONDS)
        return f"it was not ready after {wording.duration(self._policy.start_seconds)}"

    def _wait_for_death(self) -> tuple[str, bool]:
        """Return why the server ended, or had to be given up, once that happens, and whether it was hung."""
        assert self._process is not None
        health, checked = HealthCheck(lambda: self._health(self._policy.health_seconds), self._policy), time.monotonic()
        busy = False
        while True:
            if why := self._death():
                return why, False
            self._keep_front_up()
            if time.monotonic() - checked >= self._policy.health_every_seconds:
                found = health.check(self._process.pid)
                checked = time.monotonic()
                if found is ServerHealth.DEAD:
                    return self._death_within(_END_SECONDS) or diagnosis.why(self._process.lines(), None), False
                if found is ServerHealth.HUNG:
                    why = self._death_within(_END_SECONDS)
                    return why or f"it did not answer /health {health.failures} times in a row", not why
                busy = self._busy(found is ServerHealth.BUSY, busy)
            time.sleep(_POLL_SECONDS)

    def _busy(self, now: bool, before: bool) -> bool:
        """Return whether the server is busy `now`, which is said when it changes."""
        if now != before:
            self._tell(Condition.DEGRADED if now else Condition.READY)
            self._notice.say(
                "The server does not answer /health, but works on." if now else "The server answers again."
            )
        return now

    def _death(self) -> str:
        """Return why the process ended; empty while it runs."""
        code = self._process.exit_code() if self._process else None
        if self._process is None or code is None:
            return ""
        return diagnosis.why(self._process.lines(), code)

    def _death_within(self, seconds: float) -> str:
        """Return why the process ended, waiting for its end for a while; empty when it runs on."""
        deadline = time.monotonic() + seconds
        while not (why := self._death()) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return why

    def _health(self, seconds: float) -> int | None:
        """Return the status of `/health`; None without an answer in time."""
        try:
            return self._client.get(f"{self._url}/health", timeout=seconds).status_code
        except httpx.HTTPError:
            return None

    def _tell(self, condition: Condition) -> None:
        if self._front is not None:
            self._front.tell(condition)

    def _keep_front_up(self) -> None:
        if self._front is not None:
            self._front.keep_up()
