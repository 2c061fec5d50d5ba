"""What making one decision took: machine time and money, by kind of work.

This is what the comparison cost, once, whoever won; what a user of the winner pays is in its own bill
(`llmtl.report.money`). Not covered: labels, people, what an interrupted command lost before a step of it ended.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Spent:
    """Seconds of work and USD at the recipe's prices; None where it is not known.

    Waiting for a provider counts for every request, also for those that were under way at once.
    """

    seconds: float | None = 0.0
    usd: float | None = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        """Add up seconds and USD, unknown where one of the two is."""
        return Spent(_both(self.seconds, other.seconds), _both(self.usd, other.usd))


UNKNOWN = Spent(None, None)


@dataclass(frozen=True)
class Spending:
    """What each kind of work took.

    `fitting` is that of every strategy, once, with its search on dev and what a provider charged for it;
    `training_seeds` fitting finalists again for other draws and testing them; `dev` and `test` scoring every strategy
    there, with dev what fine-tuning forgot, too; `learning_curves` fitting and scoring on parts of train; `refits` the
    same without labels that look wrong; `judge` the replies of a judge; `overhead` loading models, checking data and
    timing, which are not measured.
    """

    fitting: Spent = Spent()
    training_seeds: Spent = Spent()
    dev: Spent = Spent()
    test: Spent = Spent()
    learning_curves: Spent = Spent()
    # runs of earlier versions did not keep these
    refits: Spent = UNKNOWN
    judge: Spent = UNKNOWN
    overhead: Spent = UNKNOWN

    @property
    def total(self) -> Spent:
        """Add up everything that is known; at least so much was spent."""
        parts = [getattr(self, field.name) for field in fields(self)]
        return Spent(_known(part.seconds for part in parts), _known(part.usd for part in parts))


def _both(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _known(values: Iterable[float | None]) -> float:
    return sum(value for value in values if value is not None)
