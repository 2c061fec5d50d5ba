"""How much of a model a strategy adapts: by its role and what it runs, never by what it was measured to cost.

    nothing     prompting, features: the model stays as it is
    an encoder  tuning a sentence encoder or another BERT-like one
    a language model  tuning it
    two strategies    a cascade

Between those that leave the model as it is none adapts less by its role alone: a long prompt to a language model is no
smaller a thing than a linear head on a small encoder. They are held against each other.

Not covered: which of two costs less (`ranking`).
"""

from collections.abc import Sequence

from llmtl.decision.ranking import Ranking
from llmtl.strategies.table import facts_of
from llmtl.strategy import Role, Runs

_NOTHING, _ENCODER, _LANGUAGE_MODEL, _TWO = range(4)


def simpler_rival(ranking: Ranking, chosen: str, plausible: Sequence[str]) -> str | None:
    """Find the strategy that scored best on dev of those that adapt less than the choice; None where there is none.

    Where the choice adapts nothing it is the best other one that adapts nothing either. Of equal ones it is the first
    in table order, whatever they cost. `plausible` are those that dev does not show to be worse: the others need no
    test. Baselines, which have no model, are rivals of another kind, and have none themselves.
    """
    if ranking.is_baseline(chosen):
        return None
    limit = max(_adapted(ranking, chosen), _ENCODER)
    others = ranking.names(baseline=False, among=plausible)
    smaller = [name for name in others if name != chosen and _adapted(ranking, name) < limit]
    return max(smaller, key=ranking.score, default=None)


def adapts_more(ranking: Ranking, a: str, b: str) -> bool:
    """Say whether a adapts more of a model than b."""
    return _adapted(ranking, a) > _adapted(ranking, b)


def _adapted(ranking: Ranking, name: str) -> int:
    match ranking[name].role:
        case Role.CASCADE:
            return _TWO
        case Role.TUNING:
            facts = facts_of(name)
            return _ENCODER if facts and facts.runs is Runs.ENCODER else _LANGUAGE_MODEL
        case _:
            return _NOTHING
