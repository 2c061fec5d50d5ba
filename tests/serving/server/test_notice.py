"""What `serve` says while it starts: never silent for longer than 5 seconds, whatever the work says of itself."""

import io
import time

import pytest
from rich.console import Console

from llmtl.serving.server import notice
from llmtl.serving.server.notice import NoticeProgress, TerminalNotice


class Timed(io.StringIO):
    """A stream that remembers when it was written to."""

    def __init__(self):
        super().__init__()
        self.times = [time.monotonic()]

    def write(self, text):
        self.times.append(time.monotonic())
        return super().write(text)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    assert notice.REPEAT_SECONDS + notice._BEAT_SECONDS < 5
    monkeypatch.setattr(notice, "REPEAT_SECONDS", 0.1)
    monkeypatch.setattr(notice, "_BEAT_SECONDS", 0.02)


@pytest.mark.parametrize("terminal", [False, True])
def test_work_that_says_nothing_is_spoken_for(terminal):
    stream = Timed()
    told = TerminalNotice(Console(file=stream, force_terminal=terminal, width=100))
    told.status("Server: loading")
    time.sleep(3.3)
    told.clear()
    silent = max(after - before for before, after in zip(stream.times, stream.times[1:], strict=False))
    assert silent < 2.5  # it speaks every 0.1 s; the rest is for busy machines
    assert "Server: loading" in stream.getvalue()
    assert ": 3." in stream.getvalue()


def test_without_a_status_it_is_silent():
    stream = Timed()
    told = TerminalNotice(Console(file=stream, force_terminal=False))
    told.status("Report: writing")
    told.clear()
    before = stream.getvalue()
    time.sleep(0.3)
    assert stream.getvalue() == before == "Report: writing\n"


def test_progress_is_told_as_a_status_and_its_end_as_a_line():
    stream = io.StringIO()
    told = TerminalNotice(Console(file=stream, force_terminal=False))
    progress = NoticeProgress(told)
    with progress.stage("hashing", 2) as advance:
        advance(1)
        advance(1)
    progress.say("written")
    told.clear()
    assert [line.split(" in ")[0] for line in stream.getvalue().splitlines()] == [
        "hashing: 0 of 2",
        "hashing: 2",
        "written",
    ]
