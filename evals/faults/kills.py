"""Lose nothing: `python evals/faults/kills.py`. Is an interrupted run, gone on with, the one never interrupted?

A small run is ended at random moments of its processor time, by SIGKILL and by SIGTERM; meets a full disk (a limit on
the size of files) and a folder that it may not write; and is damaged by a flipped bit after it was finished. Each time
the same command is given again, and everything that was decided and answered, probabilities to the last digit, is
compared with the uninterrupted run. Every trial is a fork of one process that has imported the library. With
`--training` the run fine-tunes a small language model and saves its state after every step.

Not covered: the loss of power, which can lose what the disk had confirmed; servers.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # threads do not survive a fork
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from small_runs import ended, essence, finished, say, started, told_of_a_traceback, write_recipe
from written_results import circumstances, write_result

SEED = 20261127
NOBODY = 65534


@dataclass(frozen=True)
class Bench:
    """The run that was not interrupted, what it took, and where trials are made."""

    recipe: Path
    whole: dict[str, Any]
    seconds: float
    folder: Path
    chance: random.Random
    training: bool = False

    def command(self, out: Path) -> list[str]:
        return ["run", str(self.recipe), "--out", str(out), *([] if self.training else ["--quiet"])]

    def gone_on(self, out: Path, log: Path) -> bool:
        """Give the command again, undisturbed, and tell whether the run is the uninterrupted one."""
        return finished(self.command(out), log) == 0 and essence(out) == self.whole


@dataclass(frozen=True)
class Trial:
    """How one trial ended: the exit code of the disturbed command, and what its run was in the end."""

    code: int
    identical: bool
    traceback: bool
    went_on: bool


def killed(bench: Bench, out: Path, log: Path, number: signal.Signals) -> int:
    """Send the signal once the run has used a random part of its processor time."""
    moment = bench.chance.uniform(0.0, bench.seconds)
    pid = started(bench.command(out), log)
    process = psutil.Process(pid)
    while process.status() != psutil.STATUS_ZOMBIE:
        used = process.cpu_times()
        if used.user + used.system >= moment:
            process.send_signal(number)
            break
        time.sleep(0.002)
    return ended(pid)


def on_a_full_disk(bench: Bench, out: Path, log: Path) -> int:
    """Let no file grow beyond a random size."""
    most = round(10 ** bench.chance.uniform(1.5, 4.5))
    return finished(bench.command(out), log, first=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))


def in_a_folder_of_others(bench: Bench, out: Path, log: Path) -> int:
    """Start a run part of the way, and go on as somebody who may not write there."""
    killed(bench, out, log, signal.SIGKILL)
    out.mkdir(exist_ok=True)
    inner = [path for path in out.rglob("*") if path.is_dir()]
    for path in (out, *inner):
        path.chmod(0o555)
    code = finished(bench.command(out), log, first=_as_nobody)
    for path in (out, *inner):
        path.chmod(0o755)
    return code


def _as_nobody() -> None:
    if os.geteuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def with_a_flipped_bit(bench: Bench, out: Path, log: Path) -> int:
    """Flip one bit of a finished run, in any file but the reports."""
    finished(bench.command(out), log)
    files = sorted(
        p for p in out.rglob("*") if p.is_file() and p.stat().st_size and p.name not in ("report.html", "report.md")
    )
    path = bench.chance.choice([each for each in files if each.name != "recipe.yaml"])
    content = bytearray(path.read_bytes())
    bit = bench.chance.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    return finished(["runs", str(out), "--verify"], log)  # 1: it was noticed


WAYS: dict[str, tuple[int, Callable[[Bench, Path, Path], int]]] = {
    "SIGKILL at a random moment": (50, lambda bench, out, log: killed(bench, out, log, signal.SIGKILL)),
    "SIGTERM at a random moment": (10, lambda bench, out, log: killed(bench, out, log, signal.SIGTERM)),
    "full disk": (10, on_a_full_disk),
    "folder that cannot be written": (5, in_a_folder_of_others),
    "flipped bit": (20, with_a_flipped_bit),
}


TRAINING = "{run: [majority, qlora], qlora: {max_epochs: 3}}"
TRAINING_WAYS: dict[str, tuple[int, Callable[[Bench, Path, Path], int]]] = {
    "SIGKILL in a run that trains": (20, lambda bench, out, log: killed(bench, out, log, signal.SIGKILL)),
    "SIGTERM in a run that trains": (5, lambda bench, out, log: killed(bench, out, log, signal.SIGTERM)),
}
GOES_ON = "Fine-tuning goes on after step"


def saved_after_every_step() -> None:
    """Let trainings of this process and its forks save their state as often as they can."""
    from llmtl.unfinished import save_points

    save_points.SECONDS_BETWEEN, save_points.SHARE_FOR_SAVING = 0.0, float("inf")


def prepared(folder: Path, seed: int, *, training: bool) -> Bench:
    """Make the uninterrupted run in a fork, twice: the second time everything has been imported."""
    recipe = write_recipe(folder / "recipe", **({"rows": 120, "strategies": TRAINING} if training else {}))
    if training:
        saved_after_every_step()
    folder.chmod(0o755)
    from llmtl.cli.entry import main

    main(["run", str(recipe), "--out", str(folder / "warm"), "--quiet"])  # imports, for all forks
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if finished(["run", str(recipe), "--out", str(folder / "whole"), "--quiet"], folder / "whole.log"):
        raise SystemExit(f"The uninterrupted run failed: {(folder / 'whole.log').read_text(encoding='utf-8')}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Bench(recipe, essence(folder / "whole"), seconds, folder, random.Random(seed), training)


def tried(bench: Bench, way: str, number: int, does: Callable[[Bench, Path, Path], int]) -> Trial:
    """Make one trial and clean up after it."""
    out, log = bench.folder / "trial", bench.folder / "trial.log"
    shutil.rmtree(out, ignore_errors=True)
    log.unlink(missing_ok=True)
    code = does(bench, out, log)
    traceback = told_of_a_traceback(log)
    identical = bench.gone_on(out, log)
    if not identical or traceback:
        say(f"{way} {number}: code {code}, identical {identical}\n{log.read_text(encoding='utf-8')[-2000:]}")
    return Trial(code, identical, traceback, GOES_ON in log.read_text(encoding="utf-8", errors="replace"))


def main_(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--share", type=float, default=1.0, help="the share of the trials to make")
    parser.add_argument("--training", action="store_true", help="disturb a run that fine-tunes a language model")
    parser.add_argument("--name", help="the name of the result")
    options = parser.parse_args(arguments)
    name = options.name or ("kills-in-training" if options.training else "kills")
    ways = TRAINING_WAYS if options.training else WAYS
    result: dict[str, Any] = {"seed": options.seed, "ways": {}}
    with tempfile.TemporaryDirectory() as folder:
        bench = prepared(Path(folder), options.seed, training=options.training)
        result["processor_seconds_of_the_run"] = round(bench.seconds, 2)
        for way, (count, does) in ways.items():
            trials = [tried(bench, way, number, does) for number in range(max(1, round(options.share * count)))]
            result["ways"][way] = {
                "trials": len(trials),
                "identical": sum(trial.identical for trial in trials),
                "tracebacks": sum(trial.traceback for trial in trials),
                **({"went_on_inside_a_training": sum(trial.went_on for trial in trials)} if options.training else {}),
                "exit_codes": {str(code): many for code, many in sorted(Counter(t.code for t in trials).items())},
            }
            say(f"{way}: {result['ways'][way]}")
            write_result(name, result | circumstances(["evals/faults/kills.py", *arguments]))
    result |= circumstances(["evals/faults/kills.py", *arguments])
    print(f"Written to {write_result(name, result)}")
    return 0 if all(w["identical"] == w["trials"] and not w["tracebacks"] for w in result["ways"].values()) else 1


if __name__ == "__main__":
    sys.exit(main_(sys.argv[1:]))
