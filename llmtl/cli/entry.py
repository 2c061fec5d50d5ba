"""The entry point: the commands, their parser, and how an error ends.

Exit codes: 0 done, 1 a foreseen failure while running, 2 input that the user has to fix, 130 interrupted (SIGINT), 143
told to end (SIGTERM), 129 left by its terminal (SIGHUP). Foreseen failures print one line; unexpected ones keep their
traceback.
"""

import argparse
import errno
import io
import os
import signal
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from llmtl.cli.command import Command
from llmtl.cli.completion import COMPLETION
from llmtl.cli.decide import DECIDE
from llmtl.cli.doctor import DOCTOR
from llmtl.cli.export import EXPORT
from llmtl.cli.predict import PREDICT
from llmtl.cli.rank_models import RANK_MODELS
from llmtl.cli.run import RUN
from llmtl.cli.runs import COMPARE, REPORT, RUNS
from llmtl.cli.schema import SCHEMA
from llmtl.cli.serve import SERVE
from llmtl.errors import LlmtlError
from llmtl.quiet import silence_libraries
from llmtl.redaction import hide_in_tracebacks, keep_secrets_of, redacted
from llmtl.version import __version__
from llmtl.visible import visible

COMMANDS = (RUN, RANK_MODELS, RUNS, COMPARE, REPORT, PREDICT, SERVE, EXPORT, DECIDE, DOCTOR, SCHEMA, COMPLETION)
INTERRUPTED = 130
_ENDED = 128
"""Told to end by signal n is exit code 128 + n, as shells say it."""
AGAIN_SECONDS = 1.0
"""After so long it is looked whether the signal was heard."""
_ENDING = (signal.SIGTERM, signal.SIGHUP)
DOCS_PAGE = "reference/command-line"
_EXAMPLES, _MORE = "examples:", "More: "
DISK_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP),
)
"""A full disk, places that llmtl may not write to, and names that cannot be those of a file."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command and return its exit code."""
    if arguments is None:  # the process is the command's own
        silence_libraries()
        hide_in_tracebacks()
        _print_anything()
    keep_secrets_of(os.environ)
    command: Command | None = None
    try:
        with _ended_by_signals():
            options = _parse(sys.argv[1:] if arguments is None else arguments)
            command = options.command
            return command.carry_out(options)
    except LlmtlError as error:
        print(f"llmtl: {visible(redacted(' '.join(str(error).split())))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as error:
        number = error.number if isinstance(error, _ToldToEnd) else None
        goes_on = "; the same command goes on from here" if command and command.resumes else ""
        with suppress(OSError):  # the terminal may be what has gone
            print(f"llmtl: {'told to end' if number else 'interrupted'}{goes_on}.", file=sys.stderr, flush=True)
        return _ENDED + number if number else INTERRUPTED
    except MemoryError:
        print("llmtl: there is not enough memory; free some, or give less at a time.", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # https://docs.python.org/3/library/signal.html#note-on-sigpipe: whoever read the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        where = f" ('{visible(str(error.filename)):.200}')" if error.filename else ""
        print(f"llmtl: {error.strerror}{where}; fix that, or choose another folder.", file=sys.stderr)
        return 1


class _ToldToEnd(KeyboardInterrupt):
    """SIGTERM, which a container, a scheduler or `kill` sends, or SIGHUP: all is left as Ctrl-C leaves it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _print_anything() -> None:
    """Let names that are no text, which files may have, be printed as their codes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Give a context in which SIGTERM and SIGHUP end the command as Ctrl-C does; `llmtl serve` has its own way.

    One that was ignored before (`nohup`) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _frame: FrameType | None) -> None:
        for each in _ENDING:
            signal.signal(each, signal.SIG_IGN)  # what it leaves is put in order first
        _tell_until_heard(number)

    before, alarm = {number: signal.getsignal(number) for number in _ENDING}, signal.getsignal(signal.SIGALRM)
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, end)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGALRM) is not alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, alarm)
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell_until_heard(number: int) -> None:
    """Raise `_ToldToEnd`, and again where it was swallowed: by a destructor, say, or by a library's callback.

    That is so when nothing holds the exception any more, as unwinding and putting things in order do.
    """
    error = _ToldToEnd(number)
    told = weakref.ref(error)

    def again(_number: int, _frame: FrameType | None) -> None:
        if told() is None:
            _tell_until_heard(number)
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)

    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
    try:
        raise error
    finally:
        del error  # or its own traceback would hold it


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the options of one command.

    argparse takes a repeated positional only next to the first one (https://bugs.python.org/issue14191), so that
    overrides after an option such as `--text` come back as unknown: here they join the others.
    """
    ours, passed_on = _split(arguments)
    parser = _parser(ours)
    options, unknown = parser.parse_known_args(ours, argparse.Namespace(passed_on=passed_on, full_parser=full_parser))
    rest = options.command.rest
    if unknown and (rest is None or any(word.startswith("-") for word in unknown)):
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if unknown:
        setattr(options, rest, [*getattr(options, rest), *unknown])
    return options


def _split(arguments: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Split the arguments: those for llmtl, and those after `--` if the command passes them on."""
    given = list(arguments)
    if "--" not in given or given[0] not in {command.name for command in COMMANDS if command.passes_on}:
        return given, ()
    at = given.index("--")
    return given[:at], tuple(given[at + 1 :])


class _Help(argparse.HelpFormatter):
    """Fill paragraphs as argparse does, and keep the lines of the examples and an address as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        filled = super()._fill_text
        return "\n\n".join(
            part if part.startswith((_EXAMPLES, _MORE)) else filled(part, width, indent) for part in text.split("\n\n")
        )


def more() -> str:
    """Say where more is: at the address of the documents in pyproject.toml, which an installed package knows.

    A source tree that is not installed has them itself.
    """
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        addresses = metadata("llmtl").get_all("Project-URL") or []
    except PackageNotFoundError:
        addresses = []
    sites = [each.partition(", ")[2] for each in addresses if each.startswith("Documentation, ")]
    return _MORE + (f"{sites[0]}/{DOCS_PAGE}.html" if sites else f"docs/{DOCS_PAGE}.md")


def _epilog(command: Command) -> str:
    """Write what stands at the end of a command's help: further words, its examples, and where more is."""
    examples = "\n".join((_EXAMPLES, *(f"  {line}" for line in command.examples))) if command.examples else ""
    return "\n\n".join(part for part in (command.epilog, examples, more()) if part).replace("%", "%%")


def full_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands with all their options, for completion and for the reference page."""
    return _parser([command.name for command in COMMANDS])


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Build the parser, with options only for commands among the arguments: making options takes imports."""
    parser = argparse.ArgumentParser(
        prog="llmtl", description="Prompt it or fine-tune it? Decided with evidence.", epilog=more()
    )
    parser.add_argument("--version", action="version", version=f"llmtl {__version__}")
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        own = parsers.add_parser(
            command.name,
            help=command.help,
            usage=command.usage,
            description=command.description or f"{command.help[:1].upper()}{command.help[1:]}.",
            epilog=_epilog(command),
            formatter_class=_Help,
        )
        own.set_defaults(command=command)
        if command.name in arguments:
            command.add_options(own)
    return parser
