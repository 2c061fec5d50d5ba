"""Ledger entries of the steps of a run: fitting, scoring, a judge's replies.

Not covered: keeping and adding them up (`llmtl.costs.ledger`).
"""

from llmtl.costs import NO_TOKENS, Entry, Tokens, WorkKind
from llmtl.findings import SearchTrace, finding
from llmtl.judging.result import Judging
from llmtl.measured.evaluation import Evaluation
from llmtl.measured.fitting import FitRecord

HOSTED = "hosted"


def fitting_entry(kind: WorkKind, fitted: FitRecord) -> Entry:
    """Describe what one fit spent, one that found out that the strategy cannot run included."""
    return Entry(
        kind,
        fitted.train_seconds,
        fitted.train_seconds,
        device=fitted.device,
        devices=fitted.devices,
        tokens=fitted.paid_tokens,
        stated_usd=fitted.stated.usd_fitting if fitted.stated else None,
    )


def scoring_entry(kind: WorkKind, evaluation: Evaluation, fitted: FitRecord) -> Entry:
    """Describe what scoring spent; a hosted model's replies to what fitting asked of dev were kept and cost nothing."""
    hosted = evaluation.device == HOSTED
    share = _fresh(evaluation, fitted) if hosted else 1.0
    return Entry(
        kind,
        share * sum(prediction.seconds for prediction in evaluation.predictions),
        evaluation.seconds,
        device=evaluation.device,
        devices=evaluation.devices,
        tokens=_paid(evaluation, share) if hosted else NO_TOKENS,
    )


def judge_entry(judging: Judging) -> Entry | None:
    """Describe what a judge's replies took, those before it failed included; None where it was never asked."""
    paid = judging.spent
    return None if paid is None else Entry(WorkKind.JUDGE, paid.seconds, stated_usd=paid.usd)


def _fresh(evaluation: Evaluation, fitted: FitRecord) -> float:
    """Return the share of the answers that nobody had paid for before."""
    trace = finding(fitted.findings, SearchTrace)
    known = trace.dev_examples if trace and evaluation.split == "dev" else 0
    return max(0.0, 1 - known / evaluation.n)


def _paid(evaluation: Evaluation, share: float) -> Tokens:
    """Return the tokens of that share of all requests."""
    requests = share * evaluation.n
    return Tokens(
        requests * evaluation.prompt_tokens_per_request,
        requests * evaluation.cached_tokens_per_request,
        requests * evaluation.completion_tokens_per_request,
    )
