"""The report of a finished run, made from what its folder holds: one way to make it, after the run and after serving.

Once the run has been served (`serving.json`), the cost and latency of the served strategy are those of the live
endpoint, and what follows from them (totals, break-even) is worked out again; `decision.json` stays as it was written.
Not covered: measuring a live endpoint (`llmtl.serving`).
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from llmtl.checks.finding import Finding
from llmtl.costs import PriceConfig, Pricing, StatedCost
from llmtl.decision.decide import decide
from llmtl.decision.detectable import break_evens
from llmtl.decision.eligibility import broken_by
from llmtl.decision.outcome import Decision
from llmtl.decision.ranking import Ranking
from llmtl.errors import RunError
from llmtl.measured.endpoint import SERVED, SERVING_FILE, Served
from llmtl.measured.evaluation import Evaluation
from llmtl.pipeline.run_folder import Run, load_run
from llmtl.pipeline.run_format import INDEX, PROVENANCE, read_examples
from llmtl.report import ReportContent, Summary, cascades, markdown, serving, summarize, write_html
from llmtl.report import judging as judge_words
from llmtl.report import noise as noise_words
from llmtl.report.content import Skipped, SkipReason
from llmtl.report.sentences import constraints_broken
from llmtl.report.wrong_answers import advice
from llmtl.store import read_json, write_text
from llmtl.strategies.table import sending_away


def refresh_report(folder: Path) -> None:
    """Write `report.html` and `report.md` of the finished run in `folder` again, from what the folder holds now.

    Raises `RunError` when something that the report shows is missing or damaged.
    """
    content = report_content(load_run(folder))
    write_html(content, folder / "report.html")
    write_text(folder / "report.md", markdown(content))


def report_content(run: Run) -> ReportContent:
    """Return what the report of a run shows; its `decision` has the served cost and latency if the run was served."""
    findings, skipped = _kept(run)
    served = read_served(run)
    decision, summary = as_served(run, served) if served else (run.decision, run.summary)
    return ReportContent(
        task=run.task,
        decision=decision,
        summary=summary,
        evaluations=(*run.evaluations, *run.left),
        test_examples=read_examples(run.folder, "test"),
        sizes={name: len(read_examples(run.folder, name)) for name in ("train", "dev", "test")},
        fit_findings={name: run.fit(name).findings for name in run.index.fits},
        findings=findings,
        skipped=skipped,
        provenance=read_json(run.folder / PROVENANCE),
        served=served,
        prices=run.recipe.prices,
        limits=run.recipe.decision,
        curves=run.result.curves,
        noise=run.result.noise,
        judging=run.result.judging,
        spending=run.result.spending,
    )


def summary_notes(run: Run) -> tuple[str, ...]:
    """Return one line each on a cascade that won, what errors cost, more labels, doubtful labels and a judge."""
    curves, noise, judging = run.result.curves, run.result.noise, run.result.judging
    value = run.decision.value_of_accuracy
    lines = [
        cascades.of_winner(run.decision),
        advice(value) if value else "",
        curves.sentence if curves else "",
        noise_words.sentence(noise, run.decision) if noise and noise.verdict and not noise.changed else "",
        judge_words.sentence(judging) if judging and judging.unjudged is None else "",
    ]
    return tuple(line for line in lines if line)


def read_served(run: Run) -> Served | None:
    """Return what the live endpoint of this run was measured to do, or None when it was not served."""
    path = run.folder / SERVING_FILE
    if not path.is_file():
        return None
    try:
        served = SERVED.validate_python(read_json(path))
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise RunError(f"'{path}' is not what llmtl writes (at '{where}'); delete it and serve again.") from error
    known = {result.name for result in run.decision.strategies}
    return served if served.task == run.task.name and served.strategy in known else None


def as_served(run: Run, served: Served) -> tuple[Decision, Summary]:
    """Return the decision with the served strategy's cost and latency, what follows from them, and its sentences.

    Verdict and winner stay: they were decided once, on what was measured offline. Where the served cost would have
    decided otherwise, or breaks a limit of the recipe, a warning says so.
    """
    config, prices = run.recipe.decision, run.recipe.prices
    dev = [_at(served, item, prices) for item in run.evaluations if item.split == "dev"]
    test = [item for item in run.evaluations if item.split == "test"]
    left = [_at(served, item, prices) for item in run.left]
    again = decide(run.task, run.decision.choice, dev=dev, test=test, config=config, prices=prices, dropped=left)
    kept = run.decision  # what can be left to a strategy does not hang on how it is served
    again = replace(again, max_error_automated=kept.max_error_automated, automation=kept.automation)
    same = (again.verdict, again.winner) == (run.decision.verdict, run.decision.winner)
    eligible = [result.name for result in run.decision.strategies if result.eligible]
    broken = [found for item in dev if item.strategy == served.strategy and (found := broken_by(item, config, prices))]
    sentences = summarize(again) if same else run.summary
    decision = replace(
        run.decision,
        strategies=again.strategies,
        break_even=break_evens(Ranking((*dev, *left), run.task.metric, prices), eligible, run.decision.winner),
        changes=again.changes if same else run.decision.changes,
    )
    summary = replace(
        sentences,
        reasons=(*sentences.reasons, serving.basis(served)),
        warnings=(
            *run.summary.warnings,
            *([] if same else [serving.otherwise(served, again)]),
            *(f"As served, {served.strategy} could not have been chosen: {constraints_broken(it)}." for it in broken),
        ),
    )
    return decision, summary


def _at(served: Served, evaluation: Evaluation, prices: PriceConfig) -> Evaluation:
    """Return the evaluation with what was measured of the live endpoint, if it is the served strategy's."""
    if evaluation.strategy != served.strategy:
        return evaluation
    alone = served.loads[0] if served.loads and served.loads[0].concurrency == 1 else None
    return replace(
        evaluation,
        stated=StatedCost(served.usd_per_1k_requests / 1000, Pricing(prices).fitting(evaluation)),
        p50_ms=alone.p50_ms if alone else evaluation.p50_ms,
        p95_ms=alone.p95_ms if alone else evaluation.p95_ms,
    )


def _kept(run: Run) -> tuple[tuple[Finding, ...], Mapping[str, Skipped]]:
    """Return what the checks found and who could not run; raises `RunError` for a run made before this was kept."""
    findings, skipped = run.index.findings, run.index.skipped
    if findings is None or skipped is None:
        missing = [name for name in ("findings", "skipped") if getattr(run.index, name) is None]
        raise RunError(
            f"'{run.folder / INDEX}' lacks {', '.join(missing)}, which earlier versions did not keep; give the "
            "same `llmtl run` again, it reuses what was measured."
        )
    # a kept message has no reason, but the kept recipe says who may send inputs away
    away = sending_away(run.recipe.strategies) if run.recipe.decision.private else {}
    return findings, {
        name: replace(it, reason=SkipReason.PRIVATE) if name in away else it for name, it in skipped.items()
    }
