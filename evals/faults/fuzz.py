"""Read anything: `python evals/faults/fuzz.py`. Does every reader end well on files that are not what they should be?

2,000 mutants, drawn by hypothesis with a seed, of recipes, labelled data (CSV, JSON Lines, JSON, Parquet, Excel),
prediction files, run folders (sealed, and as earlier versions left them), bundles (hashed, and hashed anew after the
change) and requests. A mutant ends well when it is read, or refused with an error of llmtl whose text is one line;
a mutant of a sealed run or a hashed bundle has to be refused or never read. A traceback, more than 10 seconds, or a
mutant that was read from a sealed folder are faults. Memory is bounded by the operating system: 1 GiB more than before.

Not covered: what language models answer; servers as processes; images.
"""

import argparse
import contextlib
import json
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from hypothesis import HealthCheck, Phase, given, seed, settings

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from mutants import mutants
from small_runs import write_recipe
from written_results import circumstances, write_result

from llmtl.data import DataConfig, load_examples
from llmtl.errors import LlmtlError
from llmtl.pipeline.decide_files import decide_predictions
from llmtl.pipeline.export import export
from llmtl.pipeline.report import report_content
from llmtl.pipeline.run_folder import load_run
from llmtl.pipeline.start import run
from llmtl.progress import Silent
from llmtl.seals import SEAL
from llmtl.serving.bundle.hashes import write_hashes
from llmtl.serving.bundle.local import load_local
from llmtl.serving.bundle.read import open_bundle, read_pool, read_recorded
from llmtl.serving.task_api.interface import RequestLimits
from llmtl.serving.task_api.requests import chat_request, parse_object, predict_request
from llmtl.settings import load_recipe

SEED = 20261127
MOST_SECONDS = 10.0
MOST_BYTES = 2**30
SILENT = "read, though its seal says otherwise"
Read = Callable[[bytes], bool]
"""Read a mutant; True where nothing was wrong with it."""


@dataclass(frozen=True)
class Target:
    """A file to mutate, and how mutants of it are read; `sealed`: none may be read."""

    name: str
    content: bytes
    read: Read
    sealed: bool = False


@dataclass
class Found:
    """How the mutants ended: how many were read and refused, and the faults, by target."""

    read: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    slowest: float = 0.0


class TooLongError(BaseException):
    """A mutant took too long; no reader catches this."""


@contextlib.contextmanager
def in_time() -> Iterator[None]:
    """Give a context that is left by `TooLongError` after some seconds."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def in_memory() -> Iterator[None]:
    """Give a context in which the process can take no more than 1 GiB beyond what it has."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + MOST_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def targets(folder: Path) -> list[Target]:
    """Make the files that are mutated, in a new folder."""
    recipe = write_recipe(folder / "recipe", rows=80)
    finished = run(recipe, out=folder / "run", progress=False)
    bundle = export(finished, folder / "bundle")
    return [
        Target("recipe", (recipe / "recipe.yaml").read_bytes(), _recipe(folder)),
        *_data(folder),
        Target("predictions", _predictions("b").encode(), _decided(folder)),
        *_run_files(folder / "run", folder),
        *_bundle_files(bundle, folder),
        *_requests(),
    ]


def _recipe(folder: Path) -> Read:
    def read(content: bytes) -> bool:
        path = folder / "mutant.yaml"
        path.write_bytes(content)
        load_recipe(path, ["data.text=text"])
        return True

    return read


def _data(folder: Path) -> Iterator[Target]:
    import openpyxl
    import pyarrow as pa
    from pyarrow import parquet

    rows = [{"text": f"message {n} of many words", "label": "abc"[n % 3]} for n in range(40)]
    parquet.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet")
    book = openpyxl.Workbook()
    for row in [("text", "label"), *((each["text"], each["label"]) for each in rows)]:
        book.active.append(row)
    book.save(folder / "rows.xlsx")
    forms = {
        "csv": "text,label\n" + "".join(f"{each['text']},{each['label']}\n" for each in rows),
        "jsonl": "".join(json.dumps(each) + "\n" for each in rows),
        "json": json.dumps(rows),
    }
    for form in (*forms, "parquet", "xlsx"):
        content = forms[form].encode() if form in forms else (folder / f"rows.{form}").read_bytes()
        yield Target(f"data.{form}", content, _loaded(folder / f"mutant.{form}"))


def _loaded(path: Path) -> Read:
    def read(content: bytes) -> bool:
        path.write_bytes(content)
        load_examples(DataConfig(path=str(path), text="text", label="label"))
        return True

    return read


def _predictions(right: str) -> str:
    rows = [
        {
            "id": f"{n}",
            "split": ("dev", "test")[n % 2],
            "reference": "ab"[n % 4 // 2],
            "prediction": right,
            "seconds": 0.1,
        }
        for n in range(24)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def _decided(folder: Path) -> Read:
    other = folder / "other.jsonl"
    other.write_text(_predictions("a"), encoding="utf-8")

    def read(content: bytes) -> bool:
        path = folder / "mutant-predictions.jsonl"
        path.write_bytes(content)
        decide_predictions([path, other])
        return True

    return read


def _run_files(original: Path, folder: Path) -> Iterator[Target]:
    steps = {
        path.parent.name.split("-")[0]: path.parent for path in sorted(original.glob("steps/*-tfidf-*/result.json"))
    }
    names = ["index.json", "decision.json", "provenance.json", "recipe.yaml", "data/test.jsonl", SEAL, f"data/{SEAL}"]
    names += [str((steps[kind] / "result.json").relative_to(original)) for kind in ("fit", "test")]
    names += [str(path.relative_to(original)) for path in sorted(steps["fit"].glob("classifier.*"))]
    bare = folder / "bare"
    shutil.copytree(original, bare)
    for seal in bare.rglob(SEAL):
        seal.unlink()
    index = json.loads((bare / "index.json").read_text(encoding="utf-8"))
    (bare / "index.json").write_text(json.dumps(index | {"sealed": False}), encoding="utf-8")
    for name in names:
        yield Target(f"run {_plain(name)}", (original / name).read_bytes(), _opened(original, name), sealed=True)
        if not name.endswith(SEAL):
            content = (bare / name).read_bytes()
            yield Target(f"run without seals {_plain(name)}", content, _opened(bare, name))


def _plain(name: str) -> str:
    """Name a file of a run without the hash in the name of its step."""
    folder, _, file = name.rpartition("/")
    return f"{folder.rpartition('-')[0] or folder}/{file}" if folder else file


def _opened(folder: Path, name: str) -> Read:
    def read(content: bytes) -> bool:
        with _changed(folder / name, content):
            opened = load_run(folder)
            report_content(opened)
            opened.predict(["a message"], strategy="tfidf")
            return True

    return read


@contextlib.contextmanager
def _changed(path: Path, content: bytes) -> Iterator[None]:
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def _bundle_files(bundle: Path, folder: Path) -> Iterator[Target]:
    names = ["bundle.json", "SHA256SUMS", *(path.name for path in sorted(bundle.glob("*.jsonl")))]
    names += [str(path.relative_to(bundle)) for path in sorted(bundle.rglob("classifier.*"))]
    again = folder / "bundle-again"
    shutil.copytree(bundle, again)
    for name in names:
        yield Target(f"bundle {name}", (bundle / name).read_bytes(), _bundle(bundle, name), sealed=True)
        if name != "SHA256SUMS":
            content = (again / name).read_bytes()
            yield Target(f"bundle hashed anew {name}", content, _bundle(again, name, anew=True))


def _bundle(folder: Path, name: str, *, anew: bool = False) -> Read:
    def read(content: bytes) -> bool:
        with _changed(folder / name, content):
            if anew:
                write_hashes(folder, Silent())
            bundle = open_bundle(folder)
            read_recorded(folder)
            read_pool(folder)
            load_local(folder / "classifier", bundle.task, bundle.winner.name).predict(["a message"])
            return True

    return read


def _requests() -> Iterator[Target]:
    limits = RequestLimits()
    chat = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "temperature": 0, "n": 1}
    ask = {"model": "m", "inputs": ["hello", "there"]}
    yield Target("chat request", json.dumps(chat).encode(), lambda body: bool(chat_request(parse_object(body), limits)))
    yield Target(
        "predict request", json.dumps(ask).encode(), lambda body: bool(predict_request(parse_object(body), limits))
    )


def tried(target: Target, content: bytes, found: Found) -> None:
    """Read one mutant and note how that ended."""
    began = time.monotonic()
    try:
        with in_time():
            target.read(content)
    except LlmtlError as error:
        found.refused[target.name] += 1
        if not str(error).strip():
            found.faults[target.name].append("an error without a word")
    except TooLongError:
        found.faults[target.name].append(f"more than {MOST_SECONDS:.0f} seconds: {content[:200]!r}")
    except Exception as error:  # noqa: BLE001  # whatever comes out is what is looked for
        where = error.__traceback__
        while where and where.tb_next:
            where = where.tb_next
        at = f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where else ""
        found.faults[target.name].append(f"{type(error).__name__} at {at}: {str(error)[:200]}")
    else:
        found.read[target.name] += 1
        if target.sealed:
            found.faults[target.name].append(f"{SILENT}: {content[:200]!r}")
    found.slowest = max(found.slowest, time.monotonic() - began)


def fuzz(made: list[Target], *, count: int, number: int) -> Found:
    """Read `count` mutants, spread over the targets."""
    found = Found()
    for position, target in enumerate(made):
        share = count // len(made) + (position < count % len(made))
        if share:
            _mutated(target, share, number + position, found)
    return found


def _mutated(target: Target, count: int, number: int, found: Found) -> None:
    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(mutants(target.content))
    def one(content: bytes) -> None:
        tried(target, content, found)

    one()


def summary(found: Found, made: list[Target]) -> dict[str, Any]:
    def by(counts: Mapping[str, int]) -> dict[str, int]:
        return {target.name: counts.get(target.name, 0) for target in made}

    return {
        "mutants": sum(found.read.values()) + sum(found.refused.values()),
        "faults": {name: dict(Counter(each)) for name, each in found.faults.items()},
        "read": by(found.read),
        "refused": by(found.refused),
        "slowest_seconds": round(found.slowest, 2),
    }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--name", default="fuzz", help="the name of the result")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        made = targets(Path(folder))
        with in_memory():
            result = {"seed": options.seed, **summary(fuzz(made, count=options.mutants, number=options.seed), made)}
    result["seconds"] = round(time.monotonic() - began, 1)
    result |= circumstances(["evals/faults/fuzz.py", *arguments], packages=("hypothesis",))
    print(f"Written to {write_result(options.name, result)}")
    print(json.dumps(result["faults"], indent=1))
    return 1 if result["faults"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
