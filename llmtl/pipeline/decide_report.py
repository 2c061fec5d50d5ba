"""The report of a decision on predictions made elsewhere, from what their rows say.

Not covered: the decision itself (`llmtl.pipeline.decide_files`), the report of a run (`llmtl.pipeline.report`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from llmtl.costs import PriceConfig
from llmtl.decision.config import DecisionConfig
from llmtl.decision.outcome import Decision
from llmtl.decision.predictions import HeldRows, StrategyFile, examples_of
from llmtl.measured.evaluation import Evaluation
from llmtl.report import ReportContent, markdown, summarize, write_html
from llmtl.report.decision_file import to_json
from llmtl.store import now, write_json, write_text
from llmtl.task import Task
from llmtl.version import __version__


def decided_content(
    task: Task,
    decision: Decision,
    *,
    found: Sequence[StrategyFile],
    measured: Mapping[str, Sequence[Evaluation]],
    config: DecisionConfig,
    prices: PriceConfig,
    paths: Sequence[Path | str | HeldRows] = (),
) -> ReportContent:
    """Gather what a report on prediction files shows; `measured` are the evaluations by split."""
    ids = {split: [item.id for item in measured[split][0].predictions] for split in ("dev", "test")}
    return ReportContent(
        task=task,
        decision=decision,
        summary=summarize(decision),
        evaluations=(*measured["dev"], *measured["test"]),
        test_examples=examples_of(found, ids["test"]),
        sizes={split: len(each) for split, each in ids.items()},
        fit_findings={},
        provenance=_provenance(paths),
        prices=prices,
        limits=config,
        elsewhere=True,
    )


def write_decided(folder: Path, content: ReportContent) -> None:
    """Write `decision.json`, `report.html` and `report.md` into the folder."""
    write_json(folder / "decision.json", to_json(content.decision, content.summary))
    write_html(content, folder / "report.html")
    write_text(folder / "report.md", markdown(content))


def _provenance(paths: Sequence[Path | str | HeldRows]) -> dict[str, str]:
    """Name what was decided on: files with their hashes, and what was given in memory."""
    files = [Path(path) for path in paths if not isinstance(path, HeldRows)]
    return {
        **{f"SHA-256 of {path}": hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        **{f"predictions of {held.name}": "given in memory" for held in paths if isinstance(held, HeldRows)},
        "decided": now(),
        "version of llmtl": __version__,
    }
