"""Ending in order when told to: Ctrl-C, SIGTERM and SIGHUP all become one `KeyboardInterrupt`.

Not covered: `kill -9`, after which `llmtl.serving.server.keeper` ends the server.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stoppable() -> Iterator[None]:
    """Return a context in which the first of the signals raises `KeyboardInterrupt` and later ones do nothing.

    Stopping takes at most a known time, so that it need not be interrupted. A signal that was ignored before (`nohup`)
    stays ignored. Only for the main thread.
    """
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in _ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
