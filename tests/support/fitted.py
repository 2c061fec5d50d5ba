"""Fitting, saving and loading as a run does it, and what fitting found out."""

from llmtl.findings import FIT_FINDINGS, GridTrace, SearchTrace, TrainingCurve, finding


def again(strategy, context, predictor):
    """Return the predictor as it is after saving it to the context's folder and loading it."""
    predictor.save(context.folder)
    return strategy.load(context, context.folder)


def findings(fitted):
    """Return the findings as they come back from JSON; they are the same."""
    read = FIT_FINDINGS.validate_json(FIT_FINDINGS.dump_json(fitted.findings))
    assert read == fitted.findings
    return read


def search_of(fitted) -> SearchTrace:
    return finding(findings(fitted), SearchTrace)


def grid_of(fitted) -> GridTrace:
    return finding(findings(fitted), GridTrace)


def curve_of(fitted) -> TrainingCurve:
    return finding(findings(fitted), TrainingCurve)
