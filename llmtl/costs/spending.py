"""What making one decision took: machine time and money, by kind of work.

This is what the comparison cost, once, whoever won; what a user of the winner pays is in its own bill
(`llmtl.report.money`). Not covered: loading models, data checks, the timing of single requests, labels, people.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Spent:
    """Seconds of work, waiting for a hosted model included, and USD at the recipe's prices."""

    seconds: float = 0.0
    usd: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        """Return both together."""
        return Spent(self.seconds + other.seconds, self.usd + other.usd)


@dataclass(frozen=True)
class Spending:
    """What each kind of work took.

    `fitting` is that of every strategy, once, with its search on dev and what a hosted model charged for it;
    `training_seeds` training tuned finalists again and testing them; `dev` and `test` scoring every strategy there;
    `learning_curves` fitting and scoring on parts of train.
    """

    fitting: Spent = Spent()
    training_seeds: Spent = Spent()
    dev: Spent = Spent()
    test: Spent = Spent()
    learning_curves: Spent = Spent()

    @property
    def total(self) -> Spent:
        """Return everything together."""
        return self.fitting + self.training_seeds + self.dev + self.test + self.learning_curves
