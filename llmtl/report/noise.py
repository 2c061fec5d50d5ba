"""The verdict without the labels that look wrong, as every form of the report shows it.

Not covered: its sentence, which is written with it (`llmtl.decision.sensitivity`).
"""

from llmtl.decision.sensitivity import NoiseSensitivity, Rescored
from llmtl.report import wording


def noise_table(noise: NoiseSensitivity, metric: str) -> str:
    """Return what the table of scores with and without the suspects shows."""
    name = wording.capital(wording.metric_name(metric))
    shown = f"{name} on test, with and without the {wording.plural(len(noise.test), 'suspect')} among its examples."
    if not noise.train:
        return shown
    return (
        f"{shown} Fitted again: trained, or given demonstrations, without the {wording.plural(noise.train, 'suspect')} "
        "of train too; the others are the same predictions."
    )


def refitted(item: Rescored) -> str:
    """Return whether a strategy was fitted again for its score without the suspects, and with how many seeds."""
    if not item.refitted:
        return "no"
    return f"yes, {item.seeds_after} of {item.seeds} seeds" if item.seeds > item.seeds_after else "yes"
