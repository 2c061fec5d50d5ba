"""Decide alike: `python evals/faults/same_decision.py`. Do identical runs decide identically, whatever else runs?

One recipe is run from the start 30 times, beside a load that changes from run to run: none to four processes that use
whatever processor time they get. Verdict, winner, choice, comparisons with their p-values and intervals, advice, and
every answer with its probabilities have to be equal; times, and the costs that follow from them, are left out.

Not covered: language models on a GPU, whose sums depend on how requests are batched.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from small_runs import ended, essence, finished, say, write_recipe
from written_results import circumstances, write_result

MOST_LOAD = 4


def loaded(count: int) -> list[int]:
    """Start processes that do nothing but use the processor."""
    pids = []
    for _ in range(count):
        pid = os.fork()
        if not pid:
            while True:
                pass
        pids.append(pid)
    return pids


def main_(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--strategies", nargs="+", default=["majority", "tfidf"], help="default: %(default)s")
    parser.add_argument("--name", default="same_decision", help="the name of the result")
    options = parser.parse_args(arguments)
    found: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    first: dict[str, Any] | None = None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = write_recipe(folder / "recipe", strategies=f"{{run: [{', '.join(options.strategies)}]}}")
        from llmtl.cli.entry import main

        main(["run", str(recipe), "--out", str(folder / "warm"), "--quiet"])
        for number in range(options.runs):
            load = loaded(number % (MOST_LOAD + 1))
            try:
                code = finished(["run", str(recipe), "--out", str(folder / "run"), "--quiet"], folder / "run.log")
            finally:
                for pid in load:
                    os.kill(pid, signal.SIGKILL)
                    ended(pid)
            if code:
                raise SystemExit((folder / "run.log").read_text(encoding="utf-8"))
            made = essence(folder / "run")
            shutil.rmtree(folder / "run")
            first = first or made
            verdicts[made["decision"]["verdict"]] += 1
            for part in made:
                found[part] += made[part] == first[part]
            say(f"run {number + 1}: { ({part: made[part] == first[part] for part in made}) }")
    result = {
        "runs": options.runs,
        "strategies": options.strategies,
        "load": f"0 to {MOST_LOAD} further processes, in turn",
        "verdicts": dict(verdicts),
        "equal_to_the_first": dict(found),
        **circumstances(["evals/faults/same_decision.py", *arguments]),
    }
    print(f"Written to {write_result(options.name, result)}")
    return 0 if all(count == options.runs for count in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main_(sys.argv[1:]))
