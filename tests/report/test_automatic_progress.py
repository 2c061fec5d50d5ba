"""The progress that shows itself by where the code runs; notebooks are tested in `tests/test_notebooks.py`."""

import time

from llmtl.progress import Silent
from llmtl.report.automatic_progress import SECONDS_BETWEEN_LINES, LineProgress, watched


def test_away_from_notebooks_and_terminals_a_line_comes_every_so_often(capsys):
    began, err = time.monotonic(), ""
    with LineProgress(seconds=0.05) as progress:
        progress.say("Fitting tfidf")
        with progress.stage("tfidf on dev", 30) as advance:
            advance(12)
            while err.count("12 of 30 (") < 3:
                time.sleep(0.01)
                out, more = capsys.readouterr()
                assert out == ""
                err += more
    err += capsys.readouterr().err
    assert "llmtl: tfidf on dev: 12 of 30 (" in err
    assert err.count("\n") <= (time.monotonic() - began) / 0.05
    time.sleep(0.1)
    assert capsys.readouterr().err == ""  # nothing after the end


def test_what_is_quick_says_nothing_but_warnings(capsys):
    assert SECONDS_BETWEEN_LINES == 15
    with watched(None) as progress:
        assert isinstance(progress, LineProgress)
        progress.say("Fitting tfidf")
        progress.say("Warning: few examples")
    assert capsys.readouterr() == ("", "llmtl: Warning: few examples\n")


def test_a_stage_inside_another_gives_way_to_it(capsys):
    with LineProgress(seconds=60) as progress, progress.stage("outer", 2):
        with progress.stage("inner", 5):
            assert progress._state == "inner: 0 of 5"
        assert progress._state == "outer: 0 of 2"


def test_a_progress_of_ones_own_is_used_and_false_shows_nothing():
    mine = Silent()
    with watched(mine) as progress:
        assert progress is mine
    with watched(False) as progress:
        assert isinstance(progress, Silent)
