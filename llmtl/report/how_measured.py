"""How everything was measured, in sentences: what was fitted on what, the race, intervals, repeats, what test can find.

Not covered: what came out (`sentences`, `rules`).
"""

from llmtl.decision.outcome import Decision
from llmtl.findings import MEANINGS, FittedAgain, GridTrace, LongInputs, PreferenceStage, finding
from llmtl.numerals import IS, WAS, some_of
from llmtl.report import cascades, draw_words, preference_words, share_words, wording
from llmtl.report.content import ReportContent


def lines(content: ReportContent) -> tuple[str, ...]:
    """Return how everything was measured, in reading order."""
    decision, metric = content.decision, content.decision.metric
    sizes = ", ".join(f"{wording.count(size)} {name.replace('_', ' ')}" for name, size in content.sizes.items())
    kind, labels = content.task.kind, content.task.labels
    return (
        f"Examples: {sizes}{f'; {wording.plural(len(labels), kind.noun)}' if labels else ''}.",
        *_described(content),
        *_meanings(content),
        "The predictions were made elsewhere: what the strategies were fitted on, and whether they had seen these "
        "examples before, is not known here. Those that were not named as baselines stand as prompting, however they "
        "were made."
        if content.elsewhere
        else "Strategies were fitted on train and tuned on dev. Demonstrations come from train only.",
        f"The choice of {decision.chosen_before_test} was written down on dev "
        f"({wording.moment(decision.choice.written_at)}); "
        "test was opened once, after that.",
        *_race(decision),
        *cascades.told(decision),
        f"Metric: {wording.metric_name(metric)}, {wording.metric_meaning(metric, kind)}. "
        "A failed prediction counts as an error; none is dropped.",
        *_rule_of_choice(decision),
        "Intervals of scores are 95% confidence intervals. Comparisons are paired: both strategies answer the same "
        f"examples. Their p-values are corrected for their number (Holm); {intervals_are(decision)}",
        *_fitted_again(content),
        *_long_texts(content),
        *_preferences(content),
        *_repeats(decision),
        *_sharpness(decision),
        "Latency and cost are what the rows of dev say."
        if content.elsewhere
        else "Latency (one request at a time) and cost (time and tokens at the recipe's prices) are measured on dev.",
    )


def _described(content: ReportContent) -> list[str]:
    """Say where the descriptions of labels went, if there are any."""
    described, labels, noun = content.task.descriptions, content.task.labels, content.task.kind.noun
    if not described:
        return []
    return [
        f"The recipe describes {wording.count(len(described))} of {wording.plural(len(labels), noun)}: every prompt "
        "lists what they mean."
    ]


def _meanings(content: ReportContent) -> list[str]:
    """Say which strategies learned from what labels mean, and for which that was no better on dev."""
    found = {name: finding(each, GridTrace) for name, each in content.fit_findings.items()}
    counts = {name: trace.choice[MEANINGS] for name, trace in found.items() if trace and MEANINGS in trace.choice}
    what = "names and descriptions" if content.task.descriptions else "names"
    lines = []
    for name, count in counts.items():
        tried = f"the {what} of labels with few examples as one more example of each"
        lines.append(
            f"{name} took {tried} ({wording.plural(float(count), 'label')})."
            if count
            else f"{name} was also fitted with {tried}; without them it was better on dev."
        )
    return lines


def _fitted_again(content: ReportContent) -> list[str]:
    """Say which strategies were fitted twice, and how long each fit took."""
    seconds = {item.name: item.train_seconds for item in content.decision.strategies}
    return [
        f"{name} was fitted twice: its time limit stopped the first fit after {wording.duration(again.first_seconds)}, "
        "and the others left time for a second one from the beginning, which took "
        f"{wording.training_time(seconds[name])} and is the one measured here. The cost of the decision counts both."
        for name, each in content.fit_findings.items()
        if (again := finding(each, FittedAgain)) is not None and name in seconds
    ]


def _long_texts(content: ReportContent) -> list[str]:
    """Say which encoders could not read some texts at once, and how those were read."""
    found = [(name, finding(each, LongInputs)) for name, each in content.fit_findings.items()]
    lines = []
    for name, each in found:
        if each is None or not (each.longer or each.instead_of):
            continue
        taken = f" It took that encoder because another reads less ('{each.instead_of}')." if each.instead_of else ""
        lines.append(
            f"{name}: {some_of(each.longer, each.inputs, 'text')} of train and dev {IS[each.longer != 1]} longer than "
            f"the {wording.count(each.window)} tokens that it reads at once, and {WAS[each.longer != 1]} read in "
            f"windows that overlap.{taken}"
        )
    return lines


def _preferences(content: ReportContent) -> list[str]:
    """Say from which pairs of answers strategies learned, and what that did on dev."""
    stages = {name: finding(each, PreferenceStage) for name, each in content.fit_findings.items()}
    return [preference_words.told(name, stage) for name, stage in stages.items() if stage is not None]


def _rule_of_choice(decision: Decision) -> tuple[str, ...]:
    """Say by what rule dev chose, and what is used where test shows nothing."""
    if share_words.by_share(decision):
        return tuple(share_words.margins(decision))
    if decision.choice.expected_totals is not None:
        return ("The choice is the eligible strategy with the lowest expected total cost on dev, errors included.",)
    margin = wording.target(decision.margin)
    if not decision.choice.expected_regret:
        return (f"The choice is the cheapest eligible strategy within the margin of {margin} of the best on dev.",)
    return (
        "The choice is the eligible strategy with the least expected regret on dev: what its true score falls short of "
        f"the best one's, plus the margin of {margin} where a cheaper strategy lies within it, weighed by how likely "
        "each is (Bayesian bootstrap, differences shrunk as far as they may be chance). Where test shows nothing, the "
        "same on dev and test together says what to use.",
    )


def intervals_are(decision: Decision) -> str:
    """Say which intervals of the differences are shown, and how they go with the test."""
    together = next((item.ci_simultaneous for item in decision.comparisons if item.ci_simultaneous), None)
    if together is None:
        return "the intervals of differences are 95% intervals, each by itself."
    level = wording.percent(together.confidence)
    if len(decision.comparisons) == 1:
        return f"its interval is a {level} interval, and excludes 0 just where the test shows a difference."
    return (
        f"the intervals of differences are simultaneous: all {len(decision.comparisons)} hold together in {level} of "
        f"tests (each at {100 * together.each:.1f}%), and one excludes 0 just where p (Holm) shows a difference."
    )


def _race(decision: Decision) -> list[str]:
    """Say what became of the race on dev, if anybody left it."""
    dropped = decision.choice.dropped
    if not dropped:
        return []
    left = ", ".join(f"{drop.strategy} after {wording.count(drop.n_seen)}" for drop in dropped)
    return [
        f"Prompting strategies raced on dev, in one random order of the {wording.plural(dropped[0].n, 'example')}: "
        f"{left} left, once it was shown that they would not be chosen (anytime-valid bounds). What left was not asked "
        f"about the rest of dev{_searched(decision)}."
    ]


def _searched(decision: Decision) -> str:
    """Say what had been scored on dev before the race, by those that left it."""
    prompts = sum(drop.tried for drop in decision.choice.dropped)
    asked = sum(drop.tried * drop.searched for drop in decision.choice.dropped)
    if not prompts:
        return ""
    return (
        f" again; before, the searches for their prompts had scored {wording.plural(prompts, 'prompt')} there, with "
        f"{wording.plural(asked, 'prediction')}"
    )


def _repeats(decision: Decision) -> list[str]:
    """Say which strategies were measured several times, and which once though chance decides a part of them."""
    several = (item for item in decision.strategies if item.test and item.test.seeds > 1)
    repeats = [f"{draw_words.repeated(item)} The first one is served." for item in several]
    return repeats + draw_words.drawn_once(decision)


def _sharpness(decision: Decision) -> list[str]:
    """Say what test could find; a warning says it where that is nothing."""
    found = decision.minimum_detectable_difference
    if found >= 1:
        return []
    return [
        f"Two strategies that truly differ by {wording.score(found)} or more would be told apart by this test in 80 of "
        "100 repetitions; smaller differences may go unseen."
    ]
