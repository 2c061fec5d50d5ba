"""The report of a finished run, made from what its folder holds: one way to make it, after the run and after serving.

The decision is final. Once the run has been served (`serving.json`), what the live endpoint takes stands beside what
was measured offline, and enters no comparison. Not covered: measuring a live endpoint (`llmtl.serving`).
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from llmtl.checks.finding import Finding
from llmtl.errors import RunError
from llmtl.measured.endpoint import SERVED, SERVING_FILE, Served
from llmtl.pipeline.run_folder import Run, load_run
from llmtl.pipeline.run_format import INDEX, read_corpus, read_examples, read_provenance
from llmtl.report import ReportContent, Summary, cascades, markdown, serving, write_html
from llmtl.report import judging as judge_words
from llmtl.report import noise as noise_words
from llmtl.report.content import Skipped, SkipReason
from llmtl.report.cost_words import by_month
from llmtl.report.titled import titled
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
    """Gather what the report of a run shows, with every strategy under the name that people read."""
    findings, skipped = _kept(run)
    content = ReportContent(
        task=run.task,
        decision=run.decision,
        summary=run.summary,
        evaluations=(*run.evaluations, *run.left),
        test_examples=read_examples(run.folder, "test"),
        sizes={name: len(read_examples(run.folder, name)) for name in ("train", "dev", "test")},
        fit_findings={name: run.fit(name).findings for name in run.index.fits},
        findings=findings,
        skipped=skipped,
        provenance=read_provenance(run.folder),
        served=read_served(run),
        prices=run.recipe.prices,
        limits=run.recipe.decision,
        curves=run.result.curves,
        noise=run.result.noise,
        judging=run.result.judging,
        spending=run.result.spending,
        corpus=read_corpus(run.folder),
    )
    told = titled(content)
    return replace(told, summary=_with_serving(told, told.served)) if told.served else told


def summary_notes(content: ReportContent) -> tuple[str, ...]:
    """Write one line each on a cascade that won, what errors cost, more labels, doubtful labels and a judge."""
    curves, noise, judging, decision = content.curves, content.noise, content.judging, content.decision
    value = decision.value_of_accuracy
    lines = [
        cascades.of_winner(decision),
        advice(value) if value else "",
        curves.sentence if curves and curves.best else "",
        noise_words.consequence(noise, decision) if noise and noise.verdict and not noise.changed else "",
        judge_words.sentence(judging) if judging and judging.unjudged is None else "",
    ]
    return tuple(line for line in lines if line)


def read_served(run: Run) -> Served | None:
    """Read what the live endpoint of this run was measured to do; None when it was not served."""
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


def _with_serving(content: ReportContent, served: Served) -> Summary:
    """Add what the live endpoint takes to the reasons, and a warning where that breaks a limit of the recipe."""
    summary, limits = content.summary, content.limits
    prices = content.prices if by_month(content.decision.strategies) else None
    broken = serving.limit_broken(served, limits) if limits else ""
    return replace(
        summary,
        reasons=(*summary.reasons, serving.basis(served, prices)),
        warnings=(*summary.warnings, *([broken] if broken else [])),
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
