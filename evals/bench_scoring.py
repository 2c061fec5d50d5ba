"""Compare label scoring by lm-evaluation-harness and by llmtl: `python evals/bench_scoring.py`.

`--model smollm2`, or any other model than `pocket-llama`, races plain transformers instead: see `plain_scoring.py`.

Both score the same prompts and labels with the same weights, number format and threads in one process, in turns.
The harness scores each label as a continuation (`HFLM.loglikelihood`, as its multiple-choice tasks do) with its default
batch size and with the best of several; the ratio is against the best. llmtl scores as its strategies do, the shared
demonstrations included: every round begins with a new engine that knows no prefix.

The two rank labels differently: the harness sums log-probabilities over the whole vocabulary, so that long labels lose;
llmtl follows the best branch of the labels' trie. Hence three comparisons: both by sums, with llmtl's own forward pass;
both by branches, with the harness's log-likelihoods (these two must agree); and the labels that each gives by its own
rule.

Then: how llmtl's CPU seconds grow with labels, demonstrations and examples, and the peak memory of processes that score
200, 800 and 3,200 examples. Bars: 50 times at 77 labels, 10 times at 6. Not covered: GPUs, other harnesses, accuracy.
"""

import argparse
import csv
import json
import logging
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from plain_scoring import race_plain
from written_results import circumstances, write_result

from llmtl.engines import ModelSource
from llmtl.engines.checkpoint import fetch_checkpoint
from llmtl.engines.tokens import continuations, encode
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.engines.trie import ROOT, Branch, Trie, build_trie
from llmtl.engines.vllm.branches import path_to
from llmtl.pipeline.models import source_of
from llmtl.prompting.template import Template
from llmtl.sections import ModelConfig
from llmtl.task import Example, Task

POCKET = "pocket-llama"
BARS = {77: 50.0, 6: 10.0}
DEMONSTRATIONS = 16
BATCH_SIZES = (1, 4, 16)
SAME_BAR = 0.995
TOLERANCE = 1e-3
"""Largest gap between two sums of log-probabilities: float32 sums depend on the order."""
DATA = Path(__file__).parents[2] / "shared" / "data" / "banking77"


@dataclass(frozen=True)
class Workload:
    """Prompts and the answers to score after each; `answers` without the end of the answer."""

    prompts: list[str]
    answers: list[str]
    labels: tuple[str, ...]


def main() -> int:
    """Run the benchmark; exit code 0 if the bars are met and both sides agree."""
    options = _options()
    if options.memory_of:
        return _print_peak(options)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    torch.set_num_threads(options.threads)
    train, test = (read_rows(options.data / f"{split}.csv") for split in ("train", "test"))
    if options.model != POCKET:
        return _race_plain(options, train, test)
    before = circumstances(sys.argv, packages=("lm-eval",))
    engine = _engine()
    races = {}
    for count in (77, 6):
        work = workload(engine, train, test, labels=count, examples=options.examples)
        races[count] = _race(work, options)
        print(_said(races[count]))
    result = {
        "what": "label scoring: examples a second of llmtl and of lm-evaluation-harness (hf)",
        **before,
        "load_average_after": circumstances(sys.argv)["load_average"],
        "model": options.model,
        "dtype": "float32",
        "threads": options.threads,
        "demonstrations": DEMONSTRATIONS,
        "races": list(races.values()),
        "growth": _growth(train, test),
        "peak_rss_mib": {str(count): _peak_mib(options, count) for count in (200, 800, 3200)},
        "bars": {str(count): bar for count, bar in BARS.items()},
    }
    result["met"] = all(race["ratio"] >= BARS[count] and race["agree"] for count, race in races.items())
    path = write_result(f"bench_scoring-{options.model}", result)
    print(json.dumps({key: result[key] for key in ("growth", "peak_rss_mib", "met")}, indent=1))
    print(f"Written to {path.name}.")
    return 0 if result["met"] else 1


def _race_plain(options: argparse.Namespace, train: list[Example], test: list[Example]) -> int:
    """Race plain transformers on zero-shot prompts; exit code 0 if the bar is met and both sides agree."""
    before = circumstances(sys.argv)
    checkpoint = resolved(options.model)
    work = workload(_engine(checkpoint), train, test, labels=8, examples=options.examples, demonstrations=0)
    found = race_plain(checkpoint, work.prompts, work.answers, rounds=options.rounds, sums=full_vocabulary_sums)
    result = {
        "what": "zero-shot label scoring: examples a second of llmtl and of plain transformers, label by label",
        **before,
        "load_average_after": circumstances(sys.argv)["load_average"],
        "model": Path(options.model).name,
        "threads": options.threads,
        "labels": len(work.labels),
        **found,
    }
    path = write_result(f"bench_scoring-{Path(options.model).name}", result)
    print(json.dumps({key: found[key] for key in ("examples_per_second", "ratio", "ratio_range", "bfloat16", "met")}))
    print(f"Written to {path.name}.")
    return 0 if found["met"] else 1


def workload(
    engine: Any,
    train: list[Example],
    test: list[Example],
    *,
    labels: int,
    examples: int,
    demonstrations: int = DEMONSTRATIONS,
) -> Workload:
    """Make prompts of test inputs behind the same demonstrations; labels are evenly spaced in the sorted list."""
    known = sorted({example.reference for example in train})
    chosen = tuple(known[int(index * len(known) / labels)] for index in range(labels))
    draw = random.Random(0)
    mine = [example for example in train if example.reference in chosen]
    shown = draw.sample(mine, demonstrations)
    inputs = [example for example in test if example.reference in chosen]
    draw.shuffle(inputs)
    template = Template(Task("banking77", chosen), engine)
    texts = [inputs[index % len(inputs)].text for index in range(examples)]
    return Workload([template.prompt(text, shown) for text in texts], list(template.answers()), chosen)


def _race(work: Workload, options: argparse.Namespace) -> dict[str, Any]:
    """Time both sides in turns, and compare their labels."""
    ours, theirs, end = _engine(), _harness(), _engine().end_of_answer
    first = Workload(work.prompts[:1], work.answers[: options.tuned_on], work.labels)
    tuning = {size: _harness_rate(theirs, first, end, size) for size in BATCH_SIZES}
    best = max(tuning, key=tuning.__getitem__)
    count = max(1, options.harness_requests // len(work.labels))
    rounds, sums, choices = [], [], []
    for turn in range(options.rounds):
        part = slice(turn * count, (turn + 1) * count)  # other examples in every round: more labels to compare
        start = time.perf_counter()
        sums.append(_harness_sums(theirs, Workload(work.prompts[part], work.answers, work.labels), end, best))
        harness = count / (time.perf_counter() - start)
        fresh = _engine()
        start = time.perf_counter()
        scores = fresh.score(work.prompts, work.answers)
        rounds.append({"llmtl": len(work.prompts) / (time.perf_counter() - start), "harness": harness})
        choices += [score.choice for score in scores[part]]
    ratios = [each["llmtl"] / each["harness"] for each in rounds]
    return {
        "labels": len(work.labels),
        "examples": {"llmtl": len(work.prompts), "harness": count * options.rounds},
        "prompt_tokens": statistics.mean(score.prompt_tokens for score in scores),
        "harness_requests_per_second_by_batch_size": {str(size): round(rate, 3) for size, rate in tuning.items()},
        "harness_batch_size": {"default": 1, "used": best},
        "rounds": [{side: round(rate, 4) for side, rate in each.items()} for each in rounds],
        "ratio": round(statistics.median(ratios), 1),
        "ratio_range": [round(min(ratios), 1), round(max(ratios), 1)],
        "bar": BARS[len(work.labels)],
        **_agreement(
            ours,
            theirs,
            Workload(work.prompts[: options.checked], work.answers, work.labels),
            np.concatenate(sums),
            choices,
        ),
    }


def _agreement(
    engine: Any, harness: Any, work: Workload, sums: NDArray[np.float64], choices: Sequence[int]
) -> dict[str, Any]:
    """Count how often the labels agree: by the same rule (where they must), and by each side's own."""
    checked = min(len(work.prompts), len(sums))
    own = np.array([full_vocabulary_sums(engine, prompt, work.answers) for prompt in work.prompts[:checked]])
    difference = float(np.abs(own - sums[:checked]).max())
    by_sums = float(np.mean(own.argmax(axis=1) == sums[:checked].argmax(axis=1)))
    followed = [branches_by_harness(harness, engine, prompt, work.answers) for prompt in work.prompts[:checked]]
    by_branches = float(np.mean(np.array(followed) == np.array(choices[:checked])))
    return {
        "agreement_by_sums": {"examples": checked, "largest_difference": difference, "same_label": by_sums},
        "agreement_by_branches": {"examples": checked, "same_label": by_branches},
        "agreement_as_decided": {
            "examples": len(sums),
            "same_label": round(float(np.mean(sums.argmax(axis=1) == np.array(choices))), 4),
        },
        "agree": difference <= TOLERANCE and min(by_sums, by_branches) >= SAME_BAR,
    }


def branches_by_harness(model: Any, engine: Any, prompt: str, answers: Sequence[str]) -> int:
    """Find the answer if the harness's log-likelihoods decide at every branch of the answers' trie."""
    [ids] = encode(engine.tokenizer, [prompt])
    end = engine.tokenizer.convert_tokens_to_ids(engine.end_of_answer)
    trie = build_trie(continuations(engine.tokenizer, prompt, answers), end)
    position = 0 if trie.branches else ~0
    while position >= 0:
        branch = trie.branches[position]
        path = path_to(trie, position)
        requests = [((prompt, str(child)), ids, [*path, child]) for child in branch.children]
        found = model._loglikelihood_tokens(requests, disable_tqdm=True)
        position = branch.following[int(np.argmax([total for total, _ in found]))]
    return ~position


def full_vocabulary_sums(engine: Any, prompt: str, answers: Sequence[str]) -> list[float]:
    """Compute each answer's sum of log-probabilities, end of the answer included, by llmtl's forward pass.

    Its trie has every node as a branch and the whole vocabulary as children, so that the logits of a branch are those
    of a softmax over the vocabulary.
    """
    from llmtl.engines.transformers.attention import Prefix, TreeForward

    [ids] = encode(engine.tokenizer, [prompt])
    paths = [
        [*path, engine.tokenizer.convert_tokens_to_ids(engine.end_of_answer)]
        for path in continuations(engine.tokenizer, prompt, answers)
    ]
    nodes: dict[tuple[int, ...], int] = {(): ROOT}
    for path in paths:
        for length in range(1, len(path)):
            nodes.setdefault(tuple(path[:length]), len(nodes) - 1)
    vocabulary = tuple(range(engine._model.config.vocab_size))
    inner = [node for node in nodes if node]
    trie = Trie(
        tokens=tuple(node[-1] for node in inner),
        parents=tuple(nodes[node[:-1]] for node in inner),
        depths=tuple(len(node) for node in inner),
        branches=tuple(Branch(index, vocabulary, ()) for index in nodes.values()),
        lengths=tuple(map(len, paths)),
    )
    logits = TreeForward(engine._model).edge_logits(Prefix(), [ids], trie)
    logprobs = logits.reshape(len(nodes), len(vocabulary)).double().log_softmax(-1)
    place = {node: row for row, node in enumerate(nodes)}
    return [float(sum(logprobs[place[tuple(path[:step])], token] for step, token in enumerate(path))) for path in paths]


def _harness() -> Any:
    """Let the harness load its `hf` model from the same folder."""
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=str(resolved(POCKET)), dtype="float32", device="cpu", batch_size=1)


def _harness_sums(model: Any, work: Workload, end: str, batch_size: int) -> NDArray[np.float64]:
    """Compute (N, C) log-likelihoods with the harness."""
    from lm_eval.api.instance import Instance

    model.batch_size_per_gpu = batch_size
    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=(prompt, answer + end), idx=index)
        for prompt in work.prompts
        for index, answer in enumerate(work.answers)
    ]
    found = model.loglikelihood(requests, disable_tqdm=True)
    return np.array([total for total, _ in found]).reshape(len(work.prompts), len(work.answers))


def _harness_rate(model: Any, work: Workload, end: str, batch_size: int) -> float:
    """Measure the harness's requests per second at a batch size."""
    start = time.perf_counter()
    _harness_sums(model, work, end, batch_size)
    return len(work.prompts) * len(work.answers) / (time.perf_counter() - start)


def _growth(train: list[Example], test: list[Example]) -> dict[str, Any]:
    """Measure llmtl's CPU seconds (least of three) by labels, demonstrations and examples; fit the power of each."""
    engine, threads = _engine(), torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for others use the CPU too
    found = {}
    for name, values in {
        "labels": (5, 10, 20, 40, 77),
        "demonstrations": (4, 8, 16, 32),
        "examples": (50, 100, 200, 400),
    }.items():
        seconds = []
        for value in values:
            sizes = {"labels": 77, "demonstrations": DEMONSTRATIONS, "examples": 100} | {name: value}
            work = workload(engine, train, test, **sizes)
            seconds.append(min(_seconds(work) for _ in range(3)))
        power = float(np.polyfit(np.log(values), np.log(seconds), 1)[0])
        found[name] = {"sizes": values, "cpu_seconds": [round(each, 3) for each in seconds], "power": round(power, 2)}
    torch.set_num_threads(threads)
    return found


def _seconds(work: Workload) -> float:
    """Measure the CPU seconds of a new engine: other work on the machine counts less than in wall-clock time."""
    engine = _engine()
    start = time.process_time()
    engine.score(work.prompts, work.answers)
    return time.process_time() - start


def _peak_mib(options: argparse.Namespace, examples: int) -> float:
    """Measure the peak resident memory, in MiB, of a process that scores this many examples."""
    command = [sys.executable, __file__, "--data", str(options.data), "--memory-of", str(examples)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(printed.split()[-1])


def _print_peak(options: argparse.Namespace) -> int:
    train, test = (read_rows(options.data / f"{split}.csv") for split in ("train", "test"))
    torch.set_num_threads(options.threads)
    engine = _engine()
    work = workload(engine, train, test, labels=6, examples=options.memory_of)
    engine.score(work.prompts, work.answers)
    # not ru_maxrss: a child starts with its parent's value
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    print(round(peak_kib / 1024, 1))
    return 0


def _engine(checkpoint: Path | None = None) -> TransformersEngine:
    return TransformersEngine.load(ModelSource(str(checkpoint or resolved(POCKET)), dtype="float32"), device="cpu")


def resolved(model: str) -> Path:
    """Find the folder of a model by its name, as a recipe would."""
    source = source_of(ModelConfig(name=model))
    return fetch_checkpoint(source.name, source.revision)


def read_rows(path: Path) -> list[Example]:
    """Read the examples of a split; exit if it is missing."""
    if not path.is_file():
        sys.exit(f"There is no {path.name} of Banking77; give the folder that holds train.csv and test.csv by --data.")
    with path.open(newline="", encoding="utf-8") as file:
        return [Example(str(row), each["text"], each["category"]) for row, each in enumerate(csv.DictReader(file))]


def _said(race: dict[str, Any]) -> str:
    last = race["rounds"][-1]
    return (
        f"{race['labels']} labels: llmtl {last['llmtl']:.1f} examples/s, the harness {last['harness']:.4f} (batch size "
        f"{race['harness_batch_size']['used']}); ratio {race['ratio']} {race['ratio_range']}, bar {race['bar']:.0f}. "
        f"Same label by sums: {race['agreement_by_sums']['same_label']:.1%}, by branches: "
        f"{race['agreement_by_branches']['same_label']:.1%}, as each decides: "
        f"{race['agreement_as_decided']['same_label']:.1%}."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare label scoring by lm-evaluation-harness and by llmtl.")
    parser.add_argument("--model", default=POCKET, help="name or folder of a model (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with Banking77's train.csv and test.csv")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of both sides")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, both sides in each (default: %(default)s)")
    parser.add_argument("--examples", type=int, default=200, help="examples that llmtl scores per round (default: 200)")
    parser.add_argument("--harness-requests", type=int, default=154, help="harness requests per round (default: 154)")
    parser.add_argument("--tuned-on", type=int, default=16, help="requests to choose its batch size with (default: 16)")
    parser.add_argument("--checked", type=int, default=12, help="examples whose sums are compared (default: 12)")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
