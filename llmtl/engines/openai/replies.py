"""Hold the replies of a hosted model, and keep them in a file so that a resumed run pays for nothing twice.

Not covered: asking (`llmtl.engines.openai.client`).
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from pydantic import TypeAdapter, ValidationError

from llmtl.json_and_yaml import parse_json


@dataclass(frozen=True)
class Step:
    """One written token with the likeliest tokens at its place: text to log-probability."""

    written: str
    likeliest: dict[str, float]


@dataclass(frozen=True)
class Reply:
    """The reply to one request.

    `finished` is false when it was cut off at the token limit. `steps` is empty where the server reports no
    log-probabilities. `seconds` is the time from sending to the whole reply, retries and their pauses included.
    `logprob` is the sum of the log-probabilities of all written tokens, None where the server reports none.
    """

    text: str
    finished: bool
    steps: tuple[Step, ...]
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float
    logprob: float | None = None


_REPLY = TypeAdapter(Reply)


class ReplyCache:
    """Replies by the key of their request, in a JSON Lines file that grows; only in memory without a `path`.

    `most` bounds the replies in memory; the oldest go first. Any number of threads of one process may use it.
    """

    def __init__(self, path: Path | None = None, *, most: int | None = None) -> None:
        self._path, self._most = path, most
        self._lock = Lock()
        self._replies: dict[str, Reply] = dict(_read(path)) if path is not None and path.is_file() else {}

    def __len__(self) -> int:
        """Count the replies in memory."""
        return len(self._replies)

    @property
    def replies(self) -> list[Reply]:
        """List all replies in memory, the oldest first."""
        with self._lock:
            return list(self._replies.values())

    def get(self, key: str) -> Reply | None:
        """Look up the reply to a request; None if it was never asked."""
        return self._replies.get(key)

    def put(self, key: str, reply: Reply) -> None:
        """Keep a reply; it is on disk when this returns."""
        row = {"key": key, "reply": _REPLY.dump_python(reply, mode="json")}
        line = json.dumps(row | {"sha256": _sha256(row)}, ensure_ascii=False)
        with self._lock:
            self._replies[key] = reply
            if self._most is not None and len(self._replies) > self._most:
                del self._replies[next(iter(self._replies))]
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(f"{line}\n")


def _read(path: Path) -> list[tuple[str, Reply]]:
    """Read the replies in a file; skip a line that is not what was written, or that was cut off by an end."""
    rows = []
    for line in path.read_bytes().split(b"\n"):
        try:
            row = parse_json(line)
            reply = _REPLY.validate_python(row["reply"])
            # lines of earlier versions have no hash
            if row.get("sha256") in (None, _sha256({"key": row["key"], "reply": row["reply"]})):
                rows.append((str(row["key"]), reply))
        except (json.JSONDecodeError, ValidationError, KeyError, TypeError):
            continue
    if rows and not path.read_bytes().endswith(b"\n"):
        with path.open("a", encoding="utf-8") as file:
            file.write("\n")  # the next reply starts its own line
    return rows


def _sha256(row: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
