"""How long work took, and how long it waited for a processor because something else ran on the machine.

Linux counts for every thread how long it was ready to run and did not (`/proc/PID/task/TID/schedstat`, see the kernel's
`Documentation/scheduler/sched-stats.rst`), and how long a hypervisor kept its processors to itself (`steal`). On an
idle machine both stay near 0. The seconds of one thread that waited are those that an idle machine would have saved it;
threads that wait for each other lose more, so that the sum over all of them is the honest bound.

Not covered: what another program costs by sharing caches and memory; threads that ended meanwhile.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_NANO = 1e-9


def _waited() -> dict[Path, float]:
    """Read the seconds that each thread has waited; of none where the machine does not tell."""
    found = {}
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        for thread in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
            try:
                found[thread] = int(thread.read_text(encoding="ascii").split()[1]) * _NANO
            except (OSError, IndexError):  # the thread has ended
                continue
    return found


def _stolen() -> float:
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


@dataclass(frozen=True)
class Stopwatch:
    """Counts from when it was made."""

    before: dict[Path, float] = field(default_factory=_waited)
    stolen: float = field(default_factory=_stolen)
    begun: float = field(default_factory=time.perf_counter)  # the last: reading what is above takes time

    def seconds(self) -> float:
        """Give the wall-clock seconds so far."""
        return time.perf_counter() - self.begun

    def waited(self) -> float:
        """Give how many of them threads of this process and its children waited for a processor, at most all."""
        each = sum(max(0.0, now - self.before.get(thread, 0.0)) for thread, now in _waited().items())
        return min(self.seconds(), each + _stolen() - self.stolen)
