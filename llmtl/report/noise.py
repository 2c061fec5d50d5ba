"""The verdict without the labels that look wrong, as every form of the report shows it.

Not covered: working it out (`llmtl.decision.sensitivity`).
"""

from collections.abc import Mapping
from typing import Any

from llmtl.checks.label_noise import FOLDS
from llmtl.decision.outcome import Decision
from llmtl.decision.sensitivity import (
    NOISE,
    NoAnswer,
    NoiseSensitivity,
    NotRefitted,
    Rescored,
    Unchecked,
    Unfitted,
)
from llmtl.report import wording
from llmtl.report.metric_words import listed

HOW = (
    "Suspects were found by confident learning over test, dev and train, each example judged by a bag-of-words "
    "classifier fitted without it. Such a classifier doubts what it would itself get wrong, so leaving its suspects "
    "out flatters strategies like it."
)


def noise_to_json(noise: NoiseSensitivity, decision: Decision) -> dict[str, Any]:
    """Write what `noise.json` holds: the values, and the sentence on them."""
    values = NOISE.dump_python(noise, mode="json")
    return {"schema_version": 2, **values, "sentence": sentence(noise, decision)}


def noise_from_json(document: Mapping[str, Any]) -> NoiseSensitivity:
    """Read what `noise.json` holds; version 1, which has no `schema_version`, held some of it in words alone."""
    if "schema_version" in document:
        return NOISE.validate_python(document)
    unchecked, kept = document["unchecked"], document.get("not_refitted", {})
    return NOISE.validate_python(
        {
            **document,
            "unchecked": None if unchecked is None else NoAnswer(Unchecked.TOLD, told=unchecked),
            "not_refitted": {name: NotRefitted(Unfitted.TOLD, told=why) for name, why in kept.items()},
        }
    )


def sentence(noise: NoiseSensitivity, decision: Decision) -> str:
    """Tell what becomes of the verdict without the suspects and what that rests on, or why it is not known."""
    told = noise.verdict is not None and noise.unchecked is None
    return consequence(noise, decision) + (_refits(noise) if told else "")


def consequence(noise: NoiseSensitivity, decision: Decision) -> str:
    """Tell what becomes of the verdict without the suspects, or why that is not known."""
    if noise.unchecked is not None:
        return f"Not checked: {_unchecked(noise.unchecked)}."
    if noise.verdict is None:
        return _rests_on_none(noise)
    before, after = f"{decision.verdict}, {decision.winner}", f"{noise.verdict}, {noise.winner}"
    result = (
        f"would be {after}, in place of {before}: have those labels read over."
        if noise.changed
        else f"is the same: {after}."
    )
    return f"Without {_marked(noise)}, the verdict {result}"


def why_unfitted(item: NotRefitted) -> str:
    """Say why a strategy was not fitted again."""
    match item.why:
        case Unfitted.PAID:
            return "its provider would charge for every request again"
        case Unfitted.NO_TIME:
            return (
                f"that would take about {item.takes_seconds / 60:.1f} minutes and {item.left_seconds / 60:.1f} are "
                "left; raise label_noise.refit_minutes"
            )
        case _:
            return item.told


def _unchecked(found: NoAnswer) -> str:
    together = "over train, dev and test together"
    match found.why:
        case Unchecked.OTHER_KIND:
            return f"only labels of classification tasks are checked, and this is {found.kind}"
        case Unchecked.FEW_LABELS:
            few = f"fewer than two labels have {FOLDS} examples in train and dev"
            return f"{together}, {few}: too little to doubt a label by"
        case Unchecked.WEAK_CLASSIFIER:
            weak = f"a bag of words gets only {found.skill or 0:.0%} of the way from chance to perfect"
            return f"{together}, {weak}: too little to doubt a label by"
        case Unchecked.TOO_FEW_LEFT:
            return "too few dev or test examples would be left"
        case Unchecked.TOLD:
            return found.told


def _rests_on_none(noise: NoiseSensitivity) -> str:
    if not noise.not_refitted:
        return "No label of dev or test looks wrong, so the verdict rests on none."
    train = f"{noise.train:,} train example{'s' if noise.train > 1 else ''}"
    return (
        f"No label of dev or test looks wrong; without the {train} whose label does nothing was fitted again: "
        f"{_not_refitted(noise.not_refitted)}."
    )


def _marked(noise: NoiseSensitivity) -> str:
    parts = [(noise.train, "train"), (len(noise.dev), "dev"), (len(noise.test), "test")]
    counted = [f"{count:,} {name}" for count, name in parts if count]
    one = sum(count for count, _ in parts) == 1
    return f"the {listed(counted)} {'example whose label looks' if one else 'examples whose labels look'} wrong"


def _refits(noise: NoiseSensitivity) -> str:
    """Return how many were fitted again, how many with fewer seeds, and which were not, as further sentences."""
    again = [item for item in noise.scores if item.refitted]
    fewer = sum(item.seeds > item.seeds_after for item in again)
    told = ""
    if again:
        many = "1 strategy was" if len(again) == 1 else f"{len(again)} strategies were"
        of_them = f", {fewer} of them" if len(again) > 1 else ""
        seeds = f"{of_them} with fewer training seeds: part of that change may be the seed's" if fewer else ""
        told = f" {many} fitted again without those of train{seeds}."
    return f"{told} Not fitted again: {_not_refitted(noise.not_refitted)}." if noise.not_refitted else told


def _not_refitted(kept: Mapping[str, NotRefitted]) -> str:
    late = [name for name, item in kept.items() if item.why is Unfitted.NO_TIME]
    parts = [f"{name}, as {why_unfitted(item)}" for name, item in kept.items() if name not in late]
    if late:
        takes = sum(kept[name].takes_seconds for name in late) / 60
        parts.append(
            f"{listed(late)}, as that would take about {takes:.1f} minutes, more than are left; raise "
            "label_noise.refit_minutes"
        )
    return "; ".join(parts)


def noise_table(noise: NoiseSensitivity, metric: str) -> str:
    """Say what the table of scores with and without the suspects shows."""
    name = wording.capital(wording.metric_name(metric))
    shown = f"{name} on test, with and without the {wording.plural(len(noise.test), 'suspect')} among its examples."
    if not noise.train:
        return shown
    return (
        f"{shown} Fitted again: trained, or given demonstrations, without the {wording.plural(noise.train, 'suspect')} "
        "of train too; the others are the same predictions."
    )


def refitted(item: Rescored) -> str:
    """Say whether a strategy was fitted again for its score without the suspects, and with how many seeds."""
    if not item.refitted:
        return "no"
    return f"yes, {item.seeds_after} of {item.seeds} seeds" if item.seeds > item.seeds_after else "yes"
