"""Keys that nobody gets to see: `***` stands for them in replies of providers, errors, logs, tracebacks and files.

A text that was given as a secret is told to `keep_secret`; from then on `redacted` hides it, logs hide it by
themselves, and so does the traceback of a command. Not covered: keys of fewer than 8 characters, which are parts of
common words; what another program prints that was given a key.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

MASK = "***"
_SHORTEST = 8
_NAMES = re.compile(r"(API_?KEY|_TOKEN|_SECRET|_PASSWORD|SECRET_ACCESS_KEY)(_\d+)?$")
"""Environment variables that hold secrets, by how their names end."""
_PARAMETERS = re.compile(r"key|token|secret|password|passwd|signature|credential|\bsig\b", re.IGNORECASE)
"""Parameters of an address that hold secrets, by their names."""
_secrets: set[str] = set()
_logging: list[Any] = []


def keep_secret(text: str | None) -> None:
    """Hide `text` from now on, as it is and as addresses and JSON write it; None and short texts are left alone."""
    secret = (text or "").strip()
    if len(secret) < _SHORTEST:
        return
    _secrets.update({secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]})
    if not _logging:
        _logging.append(logging.getLogRecordFactory())
        logging.setLogRecordFactory(_record)


def keep_secrets_of(environment: Mapping[str, str]) -> None:
    """Hide the values of the environment variables that are named as keys, tokens and passwords are."""
    for name, value in environment.items():
        if _NAMES.search(name.upper()):
            keep_secret(value)


def redacted(text: str) -> str:
    """Write `***` for every secret in a text."""
    for secret in sorted(_secrets, key=len, reverse=True):  # one may be part of another
        text = text.replace(secret, MASK)
    return text


def redacted_bytes(content: bytes) -> bytes:
    """Write `***` for every secret in bytes that hold UTF-8."""
    for secret in sorted(_secrets, key=len, reverse=True):
        content = content.replace(secret.encode(), MASK.encode())
    return content


def secret_in(address: str) -> str | None:
    """Find the part of an address that holds a key or a password, and hide it from now on; None where there is none."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if "@" in parts.netloc:
        given = parts.netloc.rpartition("@")[0]
        for text in (given, *given.split(":", 1)):
            keep_secret(text)
        return "a name or password"
    for name, value in parse_qsl(parts.query):
        if _PARAMETERS.search(name):
            keep_secret(value)
            return f"a key ('{name}')"
    return None


def hide_in_tracebacks() -> None:
    """Let an error that ends this process be printed without secrets."""
    sys.excepthook = _print_error


def _print_error(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    sys.stderr.write(redacted("".join(traceback.format_exception(kind, error, where))))


def _record(*given: Any, **named: Any) -> logging.LogRecord:
    """Make a record of a log without secrets, those of its error among them."""
    record: logging.LogRecord = _logging[0](*given, **named)
    try:
        message = record.getMessage()
    except (TypeError, ValueError, KeyError):  # whoever formats it says what is wrong
        return record
    if (hidden := redacted(message)) != message:
        record.msg, record.args = hidden, ()
    if record.exc_info and record.exc_info[0] is not None:
        told = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        if (hidden := redacted(told)) != told:
            record.exc_info, record.exc_text = None, hidden
    return record
