"""Seconds that were waited for a processor: beside another program on the same one, and asleep."""

import os
import signal
import subprocess
import sys
import time

import pytest

from llmtl.pipeline.waiting import Stopwatch


def work(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.fixture
def one_processor():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("one_processor")
def test_work_beside_another_program_on_one_processor_waits_for_what_that_takes():
    # through a shell that ends at once: what our own children wait for is counted, and this is to be a stranger
    busy = "import time; end = time.time() + 60\nwhile time.time() < end: pass"
    started = f"{sys.executable} -c '{busy}' >/dev/null 2>&1 & echo $!"
    stranger = int(subprocess.run(["sh", "-c", started], capture_output=True, check=True, timeout=60).stdout)
    try:
        time.sleep(0.2)
        watch = Stopwatch()
        work(0.3)
        waited, seconds = watch.waited(), watch.seconds()
    finally:
        os.kill(stranger, signal.SIGKILL)
    # all that the work itself did not take; more, where other threads of this process waited meanwhile, too
    assert waited >= seconds - 0.3 - 0.1
    assert waited > 0.1


def test_sleeping_is_not_waiting_for_a_processor():
    # in a process of one thread: the one that runs the tests has others, and those wait where the machine is busy
    alone = """
import time
from llmtl.pipeline.waiting import Stopwatch
watch = Stopwatch()
time.sleep(2)
print(watch.waited() / watch.seconds())
"""
    done = subprocess.run([sys.executable, "-c", alone], capture_output=True, check=True, timeout=60)
    assert float(done.stdout) < 0.5
