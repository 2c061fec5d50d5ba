"""What learning from preferences did, in a line. Not covered: the supervised training before it, which has a chart."""

from llmtl.findings import PreferenceStage
from llmtl.report import wording

_LOSSES = {"sigmoid": "DPO", "ipo": "IPO", "hinge": "hinge loss", "apo_zero": "APO-zero"}


def told(name: str, stage: PreferenceStage) -> str:
    """Say where the pairs came from, how they were learned from, and what dev says of it."""
    return f"{name}: after the training on references, {_pairs(stage)}{_outcome(stage)}"


def _pairs(stage: PreferenceStage) -> str:
    if not stage.pairs:
        none = f"none of {wording.plural(stage.asked, 'answer')} of its own differed from a reference"
        why = f"{wording.plural(stage.dropped, 'pair')} were too long" if stage.dropped else none
        return f"there were no pairs of a better and a worse answer to learn from ({why}); it is what that left."
    made = (
        f"the reference, and what it had answered itself, of {wording.plural(stage.asked, 'training input')}"
        if stage.asked
        else "those of the recipe"
    )
    long = f"; {wording.count(stage.dropped)} more were too long" if stage.dropped else ""
    how = f"{_LOSSES.get(stage.loss, stage.loss)}, beta {stage.beta:g}, learning rate {stage.learning_rate:.1e}"
    return (
        f"it learned from {wording.plural(stage.pairs, 'pair')} of a better and a worse answer ({made}{long}) for "
        f"{_epochs(stage)} ({how})."
    )


def _epochs(stage: PreferenceStage) -> str:
    passes = stage.points[-1].epoch
    return f"{passes:.1f} pass{'' if passes == 1 else 'es'}"


def _outcome(stage: PreferenceStage) -> str:
    """Say what dev was before and with what is kept."""
    scores = {point.step: point.dev_score for point in stage.points}
    before, kept = scores.get(0), scores.get(stage.best_step)
    if not stage.pairs or before is None or kept is None:
        return ""
    metric, on = wording.metric_name(stage.metric), f"on {wording.plural(stage.dev_examples, 'dev answer')}"
    if stage.best_step == 0:
        return f" That was never better {on} than {metric} {before:.3f} before it, so it is not kept."
    return f" {metric} {on} went from {before:.3f} to {kept:.3f} at step {stage.best_step}, which is kept."
