"""The judge's opinion on the planned comparisons of a generation task, as a step of the store.

Asked after test was evaluated, on the same test outputs; it changes no verdict, and a judge that cannot be asked does
not cost the run: the decision is written, the reason with it, and the same command asks again. Replies are kept for the
whole run folder, whatever else of the recipe changes. Not covered: further training seeds; the first one is judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from llmtl.data import fingerprint, subsample
from llmtl.decision.outcome import Decision, Planned
from llmtl.engines.openai.config import EndpointConfig
from llmtl.engines.openai.replies import ReplyCache
from llmtl.errors import HostedError
from llmtl.judging.asking import Brief
from llmtl.judging.config import JudgeConfig
from llmtl.judging.opinion import judges_itself
from llmtl.judging.pairs import Contest
from llmtl.judging.result import JUDGING_FILE, OPINION, VERDICTS_FILE, JudgeSpent, Judging
from llmtl.kinds.kind import Kind
from llmtl.measured.evaluation import Evaluation
from llmtl.pipeline.ledger_entries import judge_entry
from llmtl.pipeline.measure import Bench
from llmtl.report.judging import judging_to_json, sentence, warnings
from llmtl.store import digest, write_json, write_json_lines
from llmtl.task import Example, Split

REPLIES = "judge-replies.jsonl"


def check_judge(config: JudgeConfig | None, folder: Path) -> None:
    """Raise `HostedError` when a judge that has still to be asked has no key: before the run has cost anything."""
    if config is not None and not (folder / JUDGING_FILE).is_file():
        from llmtl.judging.judge import Judge  # imports the openai package: half a second

        Judge(config, Brief("", config.criteria, config.show_references), ReplyCache()).close()


def write_judging(bench: Bench, decision: Decision, test: Sequence[Evaluation]) -> Judging | None:
    """Ask the judge; None where the recipe has none.

    Writes `judging.json` and `judging.jsonl`; both are deleted where the recipe has no judge.
    """
    config, folder = bench.prepared.recipe.judge, bench.store.folder
    if config is None:
        for name in (JUDGING_FILE, VERDICTS_FILE):
            (folder / name).unlink(missing_ok=True)
        return None
    judging, rows = _judged(bench, config, decision, {item.strategy: item for item in test})
    spent = judge_entry(judging)
    if spent is not None:
        bench.ledger.note("judge", spent)
    write_json_lines(folder / VERDICTS_FILE, rows)
    write_json(folder / JUDGING_FILE, judging_to_json(judging, decision))
    for line in warnings(judging, decision) or (sentence(judging),):
        bench.progress.say(line)
    return judging


def _judged(
    bench: Bench, config: JudgeConfig, decision: Decision, test: Mapping[str, Evaluation]
) -> tuple[Judging, list[dict[str, Any]]]:
    """Return what the judge says, not in words yet, and its verdict on every example."""
    recipe, whole = bench.prepared.recipe, bench.split.test
    sample = judged_examples(whole, config.max_examples, seed=recipe.seed, kind=bench.prepared.task.kind)
    at = {example.id: position for position, example in enumerate(whole)}
    positions = [at[example.id] for example in sample]
    contests = [_contest(planned, test, positions) for planned in decision.choice.comparisons]
    depends_on = {
        "judge": config.asked(),
        "task": bench.prepared.task.instruction,
        "examples": fingerprint(sample),
        "contests": digest([asdict(contest) for contest in contests]),
    }
    known = Judging(config.model, config.base_url, config.criteria, recipe.decision.alpha, of=len(whole))
    session = _JudgeSession(bench, config)
    try:
        found = bench.store.step("judge", depends_on, lambda _: session.ask(sample, contests))
    except HostedError as error:
        return replace(known, unjudged=str(error), unfinished=session.spent), []
    opinion = OPINION.validate_python(found["opinion"])
    itself = judges_itself(config.model, contests, _asked(bench))
    return replace(known, examples=len(sample), opinion=opinion, judged_itself=itself), found["rows"]


def _asked(bench: Bench) -> dict[str, str | None]:
    """Return the model of each strategy that asks a provider."""
    return {
        strategy.name: strategy.config.model
        for strategy in bench.prepared.strategies
        if isinstance(strategy.config, EndpointConfig)
    }


@dataclass
class _JudgeSession:
    """Asks the judge once it has to, and knows what that took even where it failed."""

    bench: Bench
    config: JudgeConfig
    spent: JudgeSpent | None = None

    def ask(self, sample: Sequence[Example], contests: Sequence[Contest]) -> dict[str, Any]:
        """Return the opinion and the verdict on every example as JSON values."""
        from llmtl.judging.judge import Judge, verdict_rows

        cache = ReplyCache(self.bench.store.folder / "steps" / REPLIES)
        judge = Judge(self.config, Brief.of(self.bench.prepared.task, self.config), cache)
        try:
            opinion, judged = judge.ask(sample, contests, self.bench.progress)
        finally:
            self.spent = judge.spent
            judge.close()
        return {"opinion": OPINION.dump_python(opinion, mode="json"), "rows": verdict_rows(sample, contests, judged)}


def _contest(planned: Planned, test: Mapping[str, Evaluation], positions: Sequence[int]) -> Contest:
    a, b = test[planned.a].answers, test[planned.b].answers
    return Contest(planned.a, planned.b, tuple((a[at], b[at]) for at in positions))


def judged_examples(test: Sequence[Example], most: int, *, seed: int, kind: Kind) -> tuple[Example, ...]:
    """Draw the test examples whose outputs are judged: one of each group, at most so many, drawn without outputs.

    Verdicts on examples of one group are not independent, which the sign test takes them to be.
    """
    seen: set[str] = set()
    alone = []
    for example in test:
        if example.group is None or example.group not in seen:
            alone.append(example)
        if example.group is not None:
            seen.add(example.group)
    return subsample(Split((), (), tuple(alone)), test=most, seed=seed, kind=kind).test
