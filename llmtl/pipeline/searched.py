"""What strategies had scored on dev before they were evaluated on it: the search for a prompt, the points of a grid.

Not covered: the search itself (`llmtl.prompting.search`, `llmtl.classical.grid`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from llmtl.decision.outcome import Choice, Dropped
from llmtl.findings import FitFinding, GridTrace, SearchTrace, finding
from llmtl.measured.fitting import FitRecord


def with_search(drop: Dropped, fitted: FitRecord) -> Dropped:
    """Note how many prompts a strategy that left the race had tried before, and on how many dev examples."""
    trace = finding(fitted.findings, SearchTrace)
    return drop if trace is None else replace(drop, tried=len(trace.tried), searched=trace.dev_examples)


def with_search_optimism(choice: Choice, fits: Mapping[str, FitRecord]) -> Choice:
    """Note by how much the choice's own search on dev flatters its dev score; `fits` are those of all strategies.

    In a cascade each member's search counts by the share of dev that the member answers.
    """
    shares = {choice.strategy: 1.0}
    for cascade in choice.cascades:
        if cascade.name == choice.strategy:
            shares = {cascade.first: 1 - cascade.passed_on, cascade.then: cascade.passed_on}
    found = [(share, _optimism(fits[name].findings)) for name, share in shares.items()]
    known = [share * optimism for share, optimism in found if optimism is not None]
    return replace(choice, search_optimism=sum(known) if known else None)


def _optimism(findings: Sequence[FitFinding]) -> float | None:
    prompts, grid = finding(findings, SearchTrace), finding(findings, GridTrace)
    return prompts.optimism if prompts else grid.optimism if grid else None
