"""Real processes: a small HTTP server that dies, hangs and refuses to end on request."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from llmtl.errors import ServingError
from llmtl.serving.server import spare
from llmtl.serving.server.keeper import members
from llmtl.serving.server.options import RestartPolicy
from llmtl.serving.server.server_command import ServerCommand
from llmtl.serving.server.supervisor import Supervisor
from tests.support.live_bundle import free_port

TINY = Path(__file__).parents[2] / "support" / "tiny_server.py"
PATIENT = 600.0
"""Seconds that a busy machine may take for what takes a moment; whoever waits goes on as soon as it has happened."""
QUICK = RestartPolicy(
    start_seconds=PATIENT, grace_seconds=0.5, first_delay_seconds=0.05, health_every_seconds=0.2, health_seconds=20.0
)


class Heard:
    """A `Notice` that keeps what it was told."""

    def __init__(self):
        self.lines, self.doings, self.cleared = [], [], 0

    def say(self, line):
        self.lines.append(line)

    def status(self, doing, so_far=""):
        self.doings.append(doing)

    def clear(self):
        self.cleared += 1


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def supervise(tmp_path, port, heard):
    """Return a function that makes a supervisor of the tiny server; every one is stopped at the end."""
    with contextlib.ExitStack() as stack:

        def make(*arguments, policy=QUICK, warm_up=lambda: None):
            argv = (sys.executable, str(TINY), str(port), *arguments)
            command = ServerCommand(argv, {}, tmp_path, waits="--wait" in arguments)
            url = f"http://127.0.0.1:{port}"
            supervisor = Supervisor(
                command, url=url, log=tmp_path / "server.log", notice=heard, policy=policy, warm_up=warm_up
            )
            return stack.enter_context(supervisor)

        yield make


def ask(port, path):
    """Return the status of a request; None when the connection breaks."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENT) as response:
            return response.status
    except OSError:
        return None


def until(condition, seconds=PATIENT):
    """Wait until the condition holds; fails the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@contextlib.contextmanager
def meanwhile(supervisor, *steps, then_kill=True):
    """Run the steps in another thread while the body watches; then, or if one fails, kill the server for good."""
    done, failures = threading.Event(), []

    def run():
        try:
            for step in steps:
                step()
        except AssertionError as error:
            failures.append(error)
        while (then_kill or failures) and not done.wait(0.1):
            for process in members(supervisor.pid) if supervisor.pid else ():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if failures:
        raise failures[0]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def alive(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def starts(path):
    """Return the process ids of the server's starts."""
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_it_is_ready_when_it_is_healthy_and_warmed_up(supervise, port, heard):
    warmed = []
    supervise("--delay", "0.5", warm_up=lambda: warmed.append(ask(port, "/"))).start()
    assert warmed == [200]
    assert "Server: starting Python" in heard.doings
    assert heard.doings[-1] == "Server: warming up"
    assert heard.cleared


def test_the_status_says_what_vllm_is_doing(supervise, heard):
    supervise("--delay", "0.5", "--say", "(EngineCore pid=7) INFO [gpu.py:1] Starting to load model x").start()
    assert "Server: loading the weights" in heard.doings


def test_an_early_death_is_explained_and_not_tried_again(supervise, tmp_path):
    counter = tmp_path / "starts"
    said = "(APIServer pid=9) ERROR 11-23 10:00:00 [core.py:12] ValueError: No such model: x."
    supervisor = supervise("--exit", "3", "--say", said, "--count", str(counter))
    with pytest.raises(ServingError, match=r"did not start: ValueError: No such model: x; its log is '.*server.log'"):
        supervisor.start()
    assert len(starts(counter)) == 1


def test_a_server_that_never_gets_ready_is_given_up(supervise, port):
    supervisor = supervise("--delay", "60", policy=RestartPolicy(**(vars(QUICK) | {"start_seconds": 1.0})))
    with pytest.raises(ServingError, match="not ready after"):
        supervisor.start()
    assert supervisor.pid is None


def test_a_failed_warm_up_stops_the_server(supervise, port):
    def fail():
        raise ServingError("its first request failed (500: boom)")

    with pytest.raises(ServingError, match="500: boom"):
        supervise(warm_up=fail).start()
    assert not listens(port)


def test_a_crash_is_explained_and_mended_until_it_happens_too_often(supervise, port, heard, tmp_path):
    counter, warmed = tmp_path / "starts", []
    policy = RestartPolicy(**(vars(QUICK) | {"max_restarts": 1}))
    supervisor = supervise("--count", str(counter), policy=policy, warm_up=lambda: warmed.append(1))
    supervisor.start()

    def crash_once():
        ask(port, "/die?1")
        until(lambda: "The server answers again." in heard.lines)
        assert ask(port, "/") == 200

    with (
        meanwhile(supervisor, crash_once, lambda: ask(port, "/die?1"), then_kill=False),
        pytest.raises(ServingError, match=r"died 2 times and stays down: ValueError: told to die"),
    ):
        supervisor.watch()
    assert "The server died: ValueError: told to die. Restart 1 of 1 in" in heard.lines[0]
    assert len(starts(counter)) == len(warmed) == 2
    assert not listens(port)


def test_a_spare_takes_the_place_of_a_server_that_died(supervise, port, heard, tmp_path):
    counter = tmp_path / "starts"
    supervisor = supervise(
        "--wait", "--count", str(counter), policy=RestartPolicy(**(vars(QUICK) | {"max_restarts": 2}))
    )
    supervisor.start()
    seen = []

    def crash():
        until(lambda: len(starts(counter)) == 2)  # the spare waits
        seen.append(supervisor.pid)
        ask(port, "/die?3")
        until(lambda: "The server answers again." in heard.lines)
        until(lambda: len(starts(counter)) == 3)  # the next one
        os.kill(starts(counter)[2], signal.SIGKILL)  # a spare that has ended is of no use
        until(lambda: not alive(starts(counter)[2]))
        ask(port, "/die?4")
        until(lambda: heard.lines.count("The server answers again.") == 2)
        assert len(starts(counter)) >= 4

    with meanwhile(supervisor, crash), pytest.raises(ServingError):
        supervisor.watch()
    assert "ValueError: told to die" in heard.lines[0]  # by what the server said, not its spare
    assert "ValueError: told to die" in heard.lines[2]
    supervisor.__exit__(None, None, None)
    until(lambda: not any(map(alive, starts(counter))))


def test_memory_that_is_short_leaves_no_spare(supervise, tmp_path, monkeypatch):
    monkeypatch.setattr(spare, "NEEDED_BYTES", 2**60)
    counter = tmp_path / "starts"
    supervisor = supervise(
        "--wait", "--count", str(counter), policy=RestartPolicy(**(vars(QUICK) | {"max_restarts": 0}))
    )
    supervisor.start()
    looked = threading.Event()

    def looks():
        looked.set()
        return available()

    available = spare.psutil.virtual_memory
    monkeypatch.setattr(spare.psutil, "virtual_memory", looks)
    with meanwhile(supervisor, lambda: until(looked.is_set)), pytest.raises(ServingError):
        supervisor.watch()
    assert len(starts(counter)) == 1


@pytest.mark.parametrize("victim", ["server", "keeper"])
def test_kill_9_is_named_and_mended(supervise, port, heard, tmp_path, victim):
    counter = tmp_path / "starts"
    supervisor = supervise("--count", str(counter), policy=RestartPolicy(**(vars(QUICK) | {"max_restarts": 1})))
    supervisor.start()

    def kill():
        os.kill(starts(counter)[0] if victim == "server" else supervisor.pid, signal.SIGKILL)
        until(lambda: "The server answers again." in heard.lines)
        assert not alive(starts(counter)[0])

    with meanwhile(supervisor, kill), pytest.raises(ServingError, match="SIGKILL"):
        supervisor.watch()
    assert "SIGKILL" in heard.lines[0]
    assert len(starts(counter)) == 2


def test_a_server_that_hangs_is_started_again(supervise, port, heard):
    supervisor = supervise(policy=RestartPolicy(**(vars(QUICK) | {"max_restarts": 1, "health_seconds": 0.5})))
    supervisor.start()

    def hang():
        ask(port, "/hang")
        until(lambda: "The server answers again." in heard.lines)

    with meanwhile(supervisor, hang), pytest.raises(ServingError):
        supervisor.watch()
    told = next(line for line in heard.lines if "did not answer /health" in line)
    assert int(re.search(r"/health (\d+) times in a row", told)[1]) >= QUICK.unhealthy_after  # more where it was busy


def test_restarts_that_fail_count_and_wait_longer(supervise, port, heard, tmp_path):
    policy = RestartPolicy(**(vars(QUICK) | {"max_restarts": 3, "first_delay_seconds": 0.1}))
    supervisor = supervise("--count", str(tmp_path / "starts"), "--survive", "1", policy=policy)
    supervisor.start()
    with (
        meanwhile(supervisor, lambda: ask(port, "/die?1"), then_kill=False),
        pytest.raises(ServingError, match="died 4 times and stays down: it ended with exit code 3"),
    ):
        supervisor.watch()
    assert [line.rpartition("in ")[2] for line in heard.lines] == ["0.1 s.", "0.2 s.", "0.4 s."]


def test_a_log_that_was_cleaned_away_stops_nothing(supervise, port, heard, tmp_path):
    supervisor = supervise(policy=RestartPolicy(**(vars(QUICK) | {"max_restarts": 1})))
    supervisor.start()
    (tmp_path / "server.log").unlink()

    def crash():
        ask(port, "/die?3")
        until(lambda: "The server answers again." in heard.lines)

    with meanwhile(supervisor, crash), pytest.raises(ServingError):
        supervisor.watch()
    assert "it ended with exit code 3" in heard.lines[0]


def test_stopping_ends_stubborn_processes_and_their_children(supervise, port):
    supervisor = supervise("--stubborn", "--helper")
    supervisor.start()
    group = supervisor.pid
    assert len(members(group)) == 3  # the keeper, the server and its helper
    supervisor.stop()
    assert members(group) == []
    assert not listens(port)


WATCH = """
import signal
import sys
from pathlib import Path
from llmtl.serving.server.server_command import ServerCommand
from llmtl.serving.server.notice import TerminalNotice
from llmtl.serving.server.options import RestartPolicy
from llmtl.serving.server.process import stoppable
from llmtl.serving.server.supervisor import Supervisor

signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal, even if the tests run in the background
signal.signal(signal.SIGHUP, signal.SIG_DFL)
tiny, port, folder = sys.argv[1:]
command = ServerCommand((sys.executable, tiny, port, "--helper"), {}, Path(folder))
with stoppable(), Supervisor(
    command,
    url=f"http://127.0.0.1:{port}",
    log=Path(folder) / "server.log",
    notice=TerminalNotice(),
    policy=RestartPolicy(grace_seconds=0.5),
    warm_up=lambda: None,
) as supervisor:
    try:
        supervisor.start()
        print("group", supervisor.pid, flush=True)
        supervisor.watch()
    except KeyboardInterrupt:
        print("told to stop", flush=True)
print("stopped", flush=True)
"""


@pytest.fixture
def watcher(tmp_path, port):
    """Return a process that watches a tiny server, and the server's group."""
    command = [sys.executable, "-c", WATCH, str(TINY), str(port), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        line = next(line for line in process.stdout if line.startswith("group"))
        group = int(line.split()[1])
        yield process, group
        process.kill()
        for left in members(group):
            left.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_ending_signal_stops_all(watcher, port, number):
    process, group = watcher
    process.send_signal(number)
    process.send_signal(number)  # an impatient second one changes nothing
    assert process.stdout.read().split("\n")[-3:] == ["told to stop", "stopped", ""]
    assert process.wait(PATIENT) == 0
    assert members(group) == []
    assert not listens(port)


def test_kill_9_of_llmtl_leaves_nothing_behind(watcher, port):
    process, group = watcher
    process.kill()
    until(lambda: not members(group))
    assert not listens(port)
