"""What `judging.json` holds: the judge's verdicts on the planned comparisons, counted, and what they cost.

Not covered: the verdict on each example (`judging.jsonl` beside it).
"""

from dataclasses import dataclass

from pydantic import TypeAdapter

JUDGING_FILE, VERDICTS_FILE = "judging.json", "judging.jsonl"


@dataclass(frozen=True)
class JudgedComparison:
    """The judge's verdicts on the outputs of `a` and `b`.

    `wins` counts the examples on which `a` is preferred, `losses` those on which `b` is. `failures` had an unreadable
    reply and count nowhere else. `identical` of the ties were never asked about, `unanswered` of the wins and losses
    neither: the other strategy had no output. `consistency` is the share of the examples with two readable replies on
    which both orders gave the same verdict. `win_rate` is that of `a`, ties half; it is None without any outcome.
    """

    a: str
    b: str
    wins: int
    losses: int
    ties: int
    failures: int
    identical: int
    unanswered: int
    consistency: float | None
    win_rate: float | None
    ci95: tuple[float, float] | None
    p: float
    p_holm: float

    def preferred(self, alpha: float) -> str | None:
        """Name the strategy that the judge is shown to prefer; None where it is shown none."""
        if self.p_holm > alpha or self.wins == self.losses:
            return None
        return self.a if self.wins > self.losses else self.b


@dataclass(frozen=True)
class JudgeSpent:
    """Replies behind a result, their tokens and USD; `cached_tokens` are a part of `prompt_tokens`.

    `seconds` is the wait for every reply, also for those under way at once; earlier versions did not keep it.
    """

    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    usd: float
    seconds: float | None = None


@dataclass(frozen=True)
class Opinion:
    """What a judge said about the planned comparisons and what it took.

    `constrained` says whether the server took the JSON schema of replies; `forecast_usd` was the forecast before
    anything was asked, from estimated prompts and replies as long as they may be.
    """

    comparisons: tuple[JudgedComparison, ...]
    constrained: bool
    forecast_usd: float
    spent: JudgeSpent


@dataclass(frozen=True)
class Judging:
    """The judge's opinion on `examples` of `of` test examples; without one, `unjudged` says why.

    `judged_itself` says that it read outputs of its own. `unfinished` is what the replies took that came before the
    judge failed.
    """

    model: str
    base_url: str
    criteria: str
    alpha: float
    unjudged: str | None = None
    examples: int = 0
    of: int = 0
    opinion: Opinion | None = None
    judged_itself: bool = False
    unfinished: JudgeSpent | None = None

    @property
    def spent(self) -> JudgeSpent | None:
        """Give what the judge's replies took; None where it gave none."""
        return self.opinion.spent if self.opinion else self.unfinished


JUDGING: TypeAdapter[Judging] = TypeAdapter(Judging)
OPINION: TypeAdapter[Opinion] = TypeAdapter(Opinion)
