"""How much can be left to a strategy, in sentences.

Not covered: working it out (`llmtl.decision.automation`), the section with its table and curves (`left_to_it`).
"""

from llmtl.decision.outcome import Decision
from llmtl.decision.promise import Automated, Promise
from llmtl.metrics.calibration import CalibrationTest
from llmtl.report import wording


def sentences(decision: Decision) -> list[str]:
    """Return the sentence on how much can be left to the winner; none where that was not asked."""
    found = next((item for item in decision.automation if item.strategy == decision.winner), None)
    limit = decision.max_error_automated
    return [] if found is None or limit is None else [sentence(found, limit)]


def sentence(item: Automated, limit: float) -> str:
    """Say what was confirmed of a strategy, or why nothing was."""
    name, at_most = item.strategy, wording.small_share(limit)
    if item.promise is not Promise.SHOWN:
        return f"How much can be left to {name} alone is not shown: {why(item, limit)}."
    sure = f"{wording.percent(1 - item.level)} confidence" if item.level >= 0.01 else "more than 99% confidence"
    of_them = f"of {wording.plural(item.answered or 0, 'answer')} on test"
    test = f"{wording.count(item.errors or 0)} {of_them} {_were(item.errors)} wrong"
    if item.threshold == 0:
        return f"Every answer of {name} can be used alone: at most {at_most} are wrong, with {sure} ({test})."
    low, high = (wording.percent(end) for end in item.share_ci95 or (0.0, 1.0))
    return (
        f"{wording.percent(item.share or 0)} of inputs ({low} to {high}) can be left to {name} alone, those with a "
        f"confidence of at least {threshold(item.threshold)}: at most {at_most} of these answers are wrong, with "
        f"{sure} ({test}). The rest go to a person."
    )


MISCALIBRATED = 0.05
"""The largest p-value at which test shows that confidences are not the chances of being right."""


def as_chance(name: str, found: CalibrationTest) -> str:
    """Say whether a strategy's confidence can be read as the chance of being right."""
    tested = "Spiegelhalter's test" if found.p_mean is None else "tested by its mean and by Spiegelhalter's z"
    saw = (
        f"on test {wording.percent(found.confidence)} on average, and {wording.percent(found.right)} of answers are "
        f"right (expected calibration error {wording.percent(found.ece)}; {tested}, "
        f"p = {wording.p_value(found.p_both)})"
    ).replace("p = <", "p < ")
    if found.p_both <= MISCALIBRATED:
        return f"Do not read the confidence of {name} as its chance of being right: it is {saw}."
    return f"Nothing speaks against reading the confidence of {name} as its chance of being right: it is {saw}."


def threshold(value: float | None) -> str:
    """Write a threshold of confidence with as many decimals as tell it from 1: `0.87`, `0.9995`."""
    if value is None:
        return wording.NOTHING
    return next(text for digits in (2, 3, 4, 6, 12) if float(text := f"{value:.{digits}f}") < 1 or digits == 12)


def _above(share: float, limit: float) -> str:
    """Write a share with as many decimals as tell it from the limit."""
    if share <= limit:
        return wording.small_share(share)
    rounded = (f"{100 * share:.{decimals}f}%" for decimals in range(2, 9))
    return next((told for told in (wording.small_share(share), *rounded) if float(told[:-1]) > 100 * limit), "more")


def _were(number: int | None) -> str:
    return "was" if number == 1 else "were"


def why(item: Automated, limit: float) -> str:
    """Say why nothing can be promised about a strategy."""
    at_most = wording.small_share(limit)
    match item.promise:
        case Promise.NO_CONFIDENCE:
            return "its predictions do not say how sure they are"
        case Promise.BY_DEGREES:
            return "such answers are better or worse, not right or wrong"
        case Promise.TOO_FEW:
            return (
                f"it takes {wording.count(item.needed)} answers without any error to show at most {at_most}, and test "
                f"has {wording.plural(item.n, 'example')}"
            )
        case Promise.UNORDERED:
            order = "" if item.auroc is None else f" (AUROC {wording.score(item.auroc)})"
            return f"on dev it is not shown to be surer where it is right{order}, and it errs too often to answer all"
        case Promise.NO_THRESHOLD:
            return f"on dev it errs too often at any confidence for test to confirm at most {at_most}"
        case _:
            from_ = f" with a confidence of at least {threshold(item.threshold)}" if item.threshold else ""
            wrong, answers = wording.count(item.errors or 0), wording.plural(item.answered or 0, "answer")
            return (
                f"of {answers} on test{from_}, {wrong} {_were(item.errors)} wrong, "
                f"so the true share may be {_above(item.at_most or 1, limit)} and at most {at_most} is allowed"
            )
