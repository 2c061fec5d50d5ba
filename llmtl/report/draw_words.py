"""What strategies drawn once, or several times, mean for the verdict, in words.

Not covered: by how much a draw moves a score (`llmtl.metrics.between_draws`).
"""

from llmtl.decision.one_draw import OneDraw, UnknownDraws
from llmtl.decision.outcome import Decision, StrategyResult
from llmtl.report import wording
from llmtl.report.metric_words import Words, listed
from llmtl.strategy import Role
from llmtl.task import Draw

_OTHER = {
    Draw.TRAINING: "another training",
    Draw.DEMONSTRATIONS: "other demonstrations",
    Draw.REPLIES: "the model's replies on another day",
}
"""What another draw of a strategy is."""
_ONCE = {
    Draw.TRAINING: "was trained once",
    Draw.DEMONSTRATIONS: "was measured with one draw of demonstrations",
    Draw.REPLIES: "was asked once",
}


def repeated(result: StrategyResult) -> str:
    """Say how often a strategy was fitted or asked, and what its figures therefore hold for."""
    draw, number = (result.test.draw, result.test.seeds) if result.test else (Draw.NONE, 1)
    times = wording.plural(number, "time")
    if draw is Draw.DEMONSTRATIONS:
        done, again = f"asked with {wording.plural(number, 'draw')} of demonstrations", "other demonstrations"
    elif draw is Draw.REPLIES:
        done, again = f"asked {times}", "the model's replies on another day"
    elif result.role is Role.TUNING:
        done, again = f"trained {times}", "another training run"
    elif draw is Draw.TRAINING:
        done, again = f"fitted {times}", "another fit"
    else:
        done, again = f"measured {times}", "another such time"
    return f"{result.name} was {done}: its test score is the mean, and its intervals and p-values hold for {again} too."


def drawn_once(decision: Decision) -> list[str]:
    """Say whose intervals are widened, since they have one draw: in no comparison there is no need for a second."""
    names = [item.name for item in decision.strategies if item.test and item.test.draw_sd > 0]
    if not names:
        return []
    were, their = ("was", "Its interval is") if len(names) == 1 else ("were", "Their intervals are")
    return [f"{listed(names)} {were} drawn once. {their} widened by what another draw was seen to move elsewhere."]


def caution(item: OneDraw | UnknownDraws, words: Words) -> str:
    """Say what to know of strategies that were drawn once."""
    match item:
        case OneDraw(strategy, draw, sd):
            return (
                f"{strategy} {_ONCE.get(draw, 'was drawn once')}: {_OTHER.get(draw, 'another draw')} would move its "
                f"score by about {words.gap(sd)} (a standard deviation taken from elsewhere), so the intervals and "
                "p-values of its comparisons are widened by that."
            )
        case UnknownDraws(strategies):
            return (
                f"Intervals and p-values hold for the given predictions of {listed(list(strategies))}, and not for "
                "another training, other demonstrations or the same question asked again: give rows with several seeds "
                "where those would change an answer, or a 'draw' of none where nothing would."
            )
