"""The entry point: what is heavy to load is not loaded for help, and errors become exit codes."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import llmtl.cli.entry
from llmtl import __version__
from llmtl.cli import main
from llmtl.cli.command import Command
from llmtl.cli.entry import COMMANDS
from llmtl.errors import InputError
from tests.support.cli_checks import COLUMNS, RULES

HEAVY = {"torch", "transformers", "sklearn", "scipy", "pandas", "pyarrow"}


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["serve", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]):
    code = f"""
import sys
from llmtl.cli import main
try:
    main({arguments})
except SystemExit as ended:
    print(ended.code, sorted({HEAVY} & set(sys.modules)), "pydantic" in sys.modules)
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == f"0 [] {len(arguments) > 1}"


@pytest.mark.parametrize("module", ["llmtl", "llmtl.cli"])
def test_it_runs_as_a_module(module: str):
    shown = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == f"llmtl {__version__}"


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]):
    for command in COMMANDS:
        with pytest.raises(SystemExit, match="0"):
            main([command.name, "--help"])
        shown = capsys.readouterr().out
        assert shown.startswith(f"usage: llmtl {command.name}")
        assert ".\n" in shown
        assert f"examples:\n  llmtl {command.name}" in shown
        assert "reference/command-line" in shown


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            "Name: llmtl\nVersion: 1\nProject-URL: Repository, https://x.org\nProject-URL: Documentation, https://d.org/l",
            0,
        ),
        ("Name: llmtl\nVersion: 1", 1),
        (None, 1),
    ],
)
def test_help_names_the_address_of_the_documents_that_the_package_was_built_with(
    monkeypatch, tmp_path: Path, facts: str | None, expected: int
):
    if facts is not None:
        folder = tmp_path / "llmtl-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(facts + "\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    told = ("More: https://d.org/l/reference/command-line.html", "More: docs/reference/command-line.md")
    assert llmtl.cli.entry.more() == told[expected]


def test_a_misspelt_option_is_no_override(here: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        main(["run", "data.csv", *COLUMNS, "--budget", "1", "--uot", "x"])
    assert "--uot" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["doctor", "seed=3"])


@pytest.mark.parametrize("arguments", [[], ["ran"], ["--uot"], ["schema", "report"], ["serve"]])
def test_a_wrong_command_ends_with_two(capsys: pytest.CaptureFixture[str], arguments: list[str]):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: llmtl" in capsys.readouterr().err


def ending(monkeypatch: pytest.MonkeyPatch, error: BaseException, **facts: bool) -> int:
    """Return the exit code of a command that raises `error`."""

    def carry_out(options: object) -> int:
        raise error

    monkeypatch.setattr(llmtl.cli.entry, "COMMANDS", (Command("fail", "fail", carry_out, **facts),))
    return main(["fail"])


@pytest.mark.parametrize("resumes", [True, False])
def test_an_interruption_says_whether_the_command_goes_on(monkeypatch, capsys, resumes: bool):
    assert ending(monkeypatch, KeyboardInterrupt(), resumes=resumes) == 130
    shown = capsys.readouterr().err
    assert shown.startswith("llmtl: interrupted")
    assert ("goes on from here" in shown) is resumes


@pytest.mark.parametrize("swallowed", [0, 1, 2])
def test_being_told_to_end_is_heard_even_where_something_swallows_it(monkeypatch, capsys, swallowed: int):
    monkeypatch.setattr(llmtl.cli.entry, "AGAIN_SECONDS", 0.05)
    times = []

    def work(_options):
        for number in range(1 + swallowed):
            try:
                if number == 0:
                    os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            except KeyboardInterrupt:
                times.append(number)
                time.sleep(0.12)  # putting things in order takes longer than the next reminder: it does not interrupt
                if number == swallowed:
                    raise
        return 0

    monkeypatch.setattr(llmtl.cli.entry, "COMMANDS", (Command("work", "work", work, resumes=True),))
    assert main(["work"]) == 143
    assert times == list(range(1 + swallowed))
    assert capsys.readouterr().err == "llmtl: told to end; the same command goes on from here.\n"
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_full_disk_is_one_line_and_other_system_errors_keep_their_traceback(monkeypatch, capsys):
    assert ending(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "runs/x")) == 1
    assert capsys.readouterr().err == (
        "llmtl: No space left on device ('runs/x'); fix that, or choose another folder.\n"
    )
    with pytest.raises(OSError, match="broken"):
        ending(monkeypatch, OSError(errno.EIO, "broken"))


def test_output_that_nobody_reads_to_the_end(here: Path):
    assert main(["run", "data.csv", *COLUMNS, *RULES, "--out", "run"]) == 0
    many = [word for number in range(4000) for word in ("--text", f"text {number}")]
    command = [sys.executable, "-m", "llmtl.cli", "predict", "run", *many]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_is_told_by_the_exit_code(monkeypatch, capsys, number: signal.Signals):
    def work(_options):
        os.kill(os.getpid(), number)
        time.sleep(60)
        return 0

    monkeypatch.setattr(llmtl.cli.entry, "COMMANDS", (Command("work", "work", work),))
    before = signal.signal(number, signal.SIG_DFL)  # whatever started the tests may ignore it
    try:
        assert main(["work"]) == 128 + number
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert capsys.readouterr().err == "llmtl: told to end.\n"


def test_a_command_that_nobody_s_terminal_should_end_goes_on(monkeypatch):
    def work(_options):
        os.kill(os.getpid(), signal.SIGHUP)
        return 7

    monkeypatch.setattr(llmtl.cli.entry, "COMMANDS", (Command("work", "work", work),))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
    try:
        assert main(["work"]) == 7
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_is_too_much_for_the_memory_is_one_line(monkeypatch, capsys):
    assert ending(monkeypatch, MemoryError()) == 1
    assert capsys.readouterr().err == "llmtl: there is not enough memory; free some, or give less at a time.\n"


def test_an_error_steers_no_terminal(monkeypatch, capsys):
    assert ending(monkeypatch, InputError("The name 'a\x1b]0;b\x07\n\u202e' is odd.")) == 2
    assert capsys.readouterr().err == "llmtl: The name 'a\\x1b]0;b\\x07 \\u202e' is odd.\n"
    assert ending(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "a\x1b[2J")) == 1
    assert "\x1b" not in capsys.readouterr().err


def test_names_that_are_no_text_are_listed_and_told(tmp_path: Path):
    odd = tmp_path / os.fsdecode(b"run-\xff-\x1b[2J")
    odd.mkdir()
    (odd / "recipe.yaml").write_text("name: x\n")
    for arguments in (["runs", "."], ["runs", ".", "--json"], ["report", odd.name]):
        done = subprocess.run(
            [sys.executable, "-m", "llmtl.cli", *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "200"},
            capture_output=True,
            check=False,
        )
        told = done.stdout + done.stderr
        assert b"Traceback" not in told
        assert b"\\udcff" in told
        assert b"\x1b[2J" not in told
        if "--json" in arguments:
            assert json.loads(done.stdout)[0]["problem"] == "not finished"
