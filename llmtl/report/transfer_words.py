"""What pre-training is worth, and what the curve of a training looks like, in words.

Not covered: the test (`llmtl.decision.transfer`), the rules for curves (`llmtl.decision.training_shape`), the count of
labels (`llmtl.learning_curve.labels_worth`).
"""

from llmtl.decision.training_shape import LearningPace, TrainingEnd, TrainingShape
from llmtl.decision.transfer import Transfer, Worth
from llmtl.decision.transferred import ChosenStrength, Transferred
from llmtl.findings import TriedStrength
from llmtl.learning_curve.labels_worth import LabelsWorth
from llmtl.numerals import with_minus
from llmtl.report import wording
from llmtl.report.metric_words import Words, listed
from llmtl.tuning.config import STRENGTHS


def sentence(item: Transfer, words: Words) -> str:
    """Say by how much the tuned model is better or worse than its control, with the interval, and in labels."""
    return " ".join([_with_all(item, words), *_with_fewer(item, words)])


def _with_all(item: Transfer, words: Words) -> str:
    found = item.difference
    beside = f"{item.strategy} against {item.control}, the same architecture from random weights"
    ends = f"95% interval {_signed(found.low, words)} to {_signed(found.high, words)}"
    if item.worth is Worth.HELPS:
        told = f"Pre-training is worth {words.gap(found.difference)} on test ({beside}; {ends})."
        return " ".join([told, *_in_labels(item.labels), *_cut(item)])
    if item.worth is Worth.HURTS:
        return (
            f"Pre-training hurts here, by {words.gap(-found.difference)} on test ({beside}; {ends}): this is negative "
            "transfer. Fine-tune fewer layers, or choose a model closer to the domain."
        )
    return f"That pre-training helps is not shown: {_signed(found.difference, words)} on test ({beside}; {ends})."


def _with_fewer(item: Transfer, words: Words) -> list[str]:
    """Say how the tuned model does with a part of train against the control with all of it."""
    fewer = item.fewer
    if fewer is None:
        return []
    found = fewer.difference
    part = f"{wording.count(fewer.examples)} of the {wording.count(fewer.available)} training examples"
    ends = f"95% interval {_signed(found.low, words)} to {_signed(found.high, words)}"
    if fewer.worth is Worth.HELPS:
        ahead = f"{item.strategy} is ahead of {item.control} with all of them, by {words.gap(found.difference)} on test"
        return [f"With {part} alone {ahead} ({ends})."]
    if fewer.worth is Worth.HURTS:
        behind = f"{item.strategy} is behind {item.control} with all of them, by {words.gap(-found.difference)} on test"
        return [f"With {part} alone {behind} ({ends})."]
    if fewer.matches:
        return [f"With {part} alone {item.strategy} matches {item.control} with all of them on test ({ends})."]
    return [f"Whether {item.strategy} with {part} matches {item.control} with all of them is open ({ends} on test)."]


def _in_labels(found: LabelsWorth | None) -> list[str]:
    """Say how many times the labels that is; nothing where the control is ahead on dev."""
    if found is None or found.times == 0:
        return []
    fewest, all_of_them = wording.count(found.smallest), wording.count(found.available)
    if found.low is None:
        return [
            f"It is worth more than {_times(found.most)} the labels: with {fewest}, the fewest tried, {found.strategy} "
            f"is ahead on dev of {found.control} with all {all_of_them} (with a probability of at least 90%)."
        ]
    ends = f"80% interval: {_end(found.low, found)} to {_end(found.high, found)}"
    if found.times is None:
        return [
            f"It is probably worth more than {_times(found.most)} the labels ({ends}): with {fewest}, the fewest, "
            f"{found.strategy} scores more on dev than {found.control} with all {all_of_them}."
        ]
    few = wording.about(found.available / found.times)
    return [
        f"It is worth about {_times(found.times)} the labels ({ends}): with about {few} {found.strategy} scores on dev "
        f"what {found.control} does with all {all_of_them}."
    ]


def _end(times: float | None, found: LabelsWorth) -> str:
    if times is None:
        return f"more than {_times(found.most)}"
    return "nothing" if times == 0 else _times(times)


def _times(factor: float) -> str:
    """Write `16 times`, or `1.6 times` of small ones."""
    return f"{factor:.2g} times" if factor < 10 else f"{factor:.0f} times"


def _cut(item: Transfer) -> list[str]:
    return [f"{item.control} was stopped by its time limit, and more time might narrow that."] * item.control_cut


def _signed(value: float, words: Words) -> str:
    written = words.gap(abs(value))
    return f"{'-' if value < 0 and written != words.gap(0.0) else '+'}{written}"


_VERDICTS = {Worth.HELPS: "helps", Worth.HURTS: "hurts", Worth.NOT_SHOWN: "no proof either way"}


def gist(found: Transferred) -> str:
    """Say in a few words what the section holds: what controls show, or else what curves look like."""
    if found.controls:
        return f"pre-training: {', '.join(dict.fromkeys(_VERDICTS[each.worth] for each in found.controls))}"
    return "what the training curves look like"


def trainings(found: Transferred) -> tuple[str, ...]:
    """Say of every training what its curve looks like."""
    lines = [curve(name, shape, random=name in found.from_random) for name, shape in found.trainings.items()]
    known = any(name not in found.from_random for name in found.trainings)
    if known and not found.controls:
        lines.append(
            "A curve is a hint. What pre-training is worth is shown by a control that begins from random weights, "
            "such as from-scratch."
        )
    return tuple(lines)


def curve(name: str, shape: TrainingShape, *, random: bool = False) -> str:
    """Say what a training curve looks like and what that hints at; `random` of one that had nothing to transfer."""
    if shape.ending is TrainingEnd.DIVERGED:
        return f"{name}: training diverged, its loss rose or was not a number. Lower its learning rate."
    return f"{name}: {_pace(shape, random=random)}{_ending(shape)}"


def _pace(shape: TrainingShape, *, random: bool) -> str:
    where = "dev" if shape.metric else "the dev loss"
    if shape.pace is LearningPace.NOTHING_LEARNED:
        what = "better than an answer that never changes" if shape.metric else "clearly better than before training"
        return f"learned nothing that {where} shows: no epoch did {what}"
    if shape.early is None:
        return f"{shape.epochs:.3g} epochs on dev say too little about how fast it learned"
    share = f"{100 * shape.early:.0f}% of all that it gained on {where} was there after 2 of {shape.epochs:.3g} epochs"
    if shape.pace is LearningPace.FAST:
        return f"learned fast{'' if random else ', as of a model that brought what the task needs'}: {share}"
    if shape.pace is LearningPace.SLOW:
        return _slow(shape, share, random=random)
    return f"learned steadily: {share}"


def _slow(shape: TrainingShape, share: str, *, random: bool) -> str:
    if random:
        return f"learned slowly, as random weights do: {share}"
    if shape.few_steps:
        few = f"two epochs are {shape.early_steps} steps here, so that this says little of the model"
        return f"learned slowly: {share} ({few})"
    return f"learned slowly, the pre-trained model may not fit this domain: {share}"


def _ending(shape: TrainingShape) -> str:
    match shape.ending:
        case TrainingEnd.LEVEL:
            return ", and then it levelled off." if shape.early is not None else "."
        case TrainingEnd.CLIMBING:
            return ". It was still getting better when it ended: more epochs, or more time, may help."
        case TrainingEnd.OVERFITTED:
            return ". Later it over-fitted: dev loss rose while train loss fell. The best epoch is the one in use."
        case TrainingEnd.OVERCONFIDENT:
            return ". Later it grew over-confident: dev loss rose while train loss fell, and the score on dev held."
    return "."


def strengths(found: Transferred) -> tuple[str, ...]:
    """Say of every training whose strength of consolidation was searched which one it is, why, and what was tried."""
    return tuple(f"{name}: {_strength(each)}" for name, each in found.consolidation.items())


def _strength(item: ChosenStrength) -> str:
    names = listed([f"{each.strength:g}" for each in item.tried])
    if item.most is None:
        why = f"the last of {names}, tried in turn"
    elif item.holds:
        why = "the first that was tried holds" if len(item.tried) == 1 else f"of {names} it is the first that holds"
    elif item.strength == STRENGTHS[-1]:
        why = "it is the strongest, and not even that holds; lower 'learning_rate' or rehearse"
    else:
        why = "it does not hold, and there was no time to try a stronger one"
    limit = "" if item.most is None else f"; {item.most:.1%} is the limit"
    measured = listed([_tried(each) for each in item.tried])
    return (
        f"elastic weight consolidation has the strength {item.strength:g}: {why}. On passages kept for this choice, "
        f"general English became harder to predict by {measured}{limit}."
    )


def _tried(item: TriedStrength) -> str:
    if item.rise is None or item.high is None:
        return f"no number with {item.strength:g}"
    rise, high = (with_minus(f"{value:.1%}") for value in (item.rise, item.high))
    return f"{rise} (at most {high}) with {item.strength:g}"
