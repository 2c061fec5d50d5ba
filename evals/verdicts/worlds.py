"""Make synthetic worlds: strategies with known true scores, costs and correlations, and predictions drawn from them.

The README beside this file states the design.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, owens_t

from llmtl import Role
from llmtl.task import Metric

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

KINDS = {
    "wide": 0.25,
    "narrow": 0.15,
    "level": 0.10,
    "level-baseline": 0.15,
    "level-rival": 0.10,
    "near-margin": 0.10,
    "no-baseline": 0.10,
    "level-no-baseline": 0.05,
}
NO_BASELINE = ("no-baseline", "level-no-baseline")
RISING = 0.5
"""The share of worlds in which what costs more tends to score more."""
RISING_NOISE = 0.03
"""The standard deviation by which scores are out of the order of costs there."""
DRAWN = 0.5
"""The share of worlds in which tuning again gives another score."""
DRAW_SD = (0.005, 0.03)
"""The standard deviation of a score over training draws."""
DRAWS = 2
"""Draws of a tuned strategy on test, as a finalist has at least."""
STRATEGIES = (2, 10)
EXAMPLES = (100, 2000)
CORRELATION = (0.4, 0.7)
BEST = (0.60, 0.97)
WIDEST_GAP = 0.20
NARROW_GAP = 0.04
REQUESTS = 120_000
TUNED = 1 / 3
"""The probability that a strategy which is not a baseline tunes."""
FEATURES = 1 / 3
"""The probability that it is a frozen model with a head, in worlds that have such; else it prompts."""
USD_PER_1K = {
    Role.BASELINE: (1e-4, 1e-2),
    Role.FEATURES: (3e-3, 0.1),
    Role.PROMPTING: (1e-2, 1.0),
    Role.TUNING: (1e-2, 0.3),
}
TRAIN_USD = (1.0, 50.0)
COST_STEP = 1.15
LABELS = (3, 6)
SMALLEST_SHARE = 0.05
_ORDER = {Role.BASELINE: 0, Role.FEATURES: 1, Role.PROMPTING: 2, Role.TUNING: 3}


@dataclass(frozen=True)
class Answers:
    """How labels arise: `shares` (C,), `right` (K, C) P(right | label), `confusion` (C, C) of wrong answers."""

    shares: Floats
    right: Floats
    confusion: Floats


@dataclass(frozen=True)
class World:
    """K strategies in table order; `truth` (K,) are true scores, `latent` (K,) the latent correlations rho."""

    kind: str
    metric: Metric
    names: tuple[str, ...]
    roles: tuple[Role, ...]
    truth: Floats
    latent: Floats
    usd_per_1k: Floats
    train_usd: Floats
    n_dev: int
    n_test: int
    answers: Answers
    rising: bool = False
    draw_sd: float = 0.0

    @property
    def usd_total(self) -> Floats:
        """Training and all requests, (K,)."""
        return self.train_usd + self.usd_per_1k * REQUESTS / 1000

    @property
    def is_baseline(self) -> NDArray[np.bool_]:
        """Which strategies are baselines, (K,)."""
        return np.array([role is Role.BASELINE for role in self.roles])


def make_world(kind: str, metric: Metric, rng: np.random.Generator, *, features: float = 0.0) -> World:
    """Draw a random world of a kind; `features` is the probability of a frozen model with a head."""
    roles = _roles(kind, features, rng)
    usd_per_1k, train_usd = _costs(roles, rng)
    total = train_usd + usd_per_1k * REQUESTS / 1000
    # table order: roles, cheapest first within a role
    order = sorted(range(len(roles)), key=lambda i: (_ORDER[roles[i]], total[i]))
    roles, usd_per_1k, train_usd, total = [roles[i] for i in order], usd_per_1k[order], train_usd[order], total[order]
    baseline = np.array([role is Role.BASELINE for role in roles])
    truth = rng.uniform(*BEST) - _gaps(kind, baseline, total, rng)
    rising = bool(kind != "level-rival" and rng.random() < RISING)
    if rising:
        truth = _in_order_of_cost(truth, total, np.flatnonzero(~baseline), rng)
    return World(
        kind=kind,
        metric=metric,
        names=_names(roles),
        roles=tuple(roles),
        truth=truth,
        latent=latent_correlation(truth, rng.uniform(*CORRELATION, size=len(roles))),
        usd_per_1k=usd_per_1k,
        train_usd=train_usd,
        n_dev=log_whole(EXAMPLES, rng),
        n_test=log_whole(EXAMPLES, rng),
        answers=two_labels(truth) if metric is Metric.ACCURACY else several_labels(truth, _shares(rng), rng),
        rising=rising,
        draw_sd=float(rng.uniform(*DRAW_SD)) if metric is Metric.ACCURACY and rng.random() < DRAWN else 0.0,
    )


def redrawn(world: World, rng: np.random.Generator) -> tuple[World, World]:
    """Train what is tuned `DRAWS` times: the world of the first draw, and that of all, strategies in order by draw.

    The true score of a strategy stays that of all possible draws.
    """
    tuned = np.array([role is Role.TUNING for role in world.roles])
    moved = np.clip(world.truth + world.draw_sd * rng.standard_normal((DRAWS, len(tuned))) * tuned, 0.01, 0.99)
    everything = replace(
        world, answers=two_labels(moved.reshape(-1)), latent=np.tile(world.latent, DRAWS), names=world.names * DRAWS
    )
    return replace(world, answers=two_labels(moved[0])), everything


def draw(world: World, n: int, rng: np.random.Generator) -> tuple[Codes, Codes]:
    """Draw references (n,) and answers (n, K) of n examples, as codes of labels."""
    answers = world.answers
    references = rng.choice(len(answers.shares), size=n, p=answers.shares)
    shared, own = rng.standard_normal((n, 1)), rng.standard_normal((n, len(world.names)))
    ability = np.sqrt(world.latent) * shared + np.sqrt(1 - world.latent) * own
    right = ability < ndtri(answers.right.T[references])
    # each example has one wrong answer that tempts all strategies alike
    cumulated = np.cumsum(answers.confusion, axis=1)[references]
    wrong = np.minimum((rng.random((n, 1)) > cumulated).sum(axis=1), len(answers.shares) - 1)
    return references, np.where(right, references[:, None], wrong[:, None])


def latent_correlation(accuracy: Floats, phi: Floats) -> Floats:
    """Find the latent correlations at which two strategies of an accuracy have a phi correlation of correctness."""
    low, high = np.zeros_like(phi), np.ones_like(phi)
    for _ in range(40):
        middle = (low + high) / 2
        below = phi_correlation(accuracy, middle) < phi
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def phi_correlation(accuracy: Floats, latent: Floats) -> Floats:
    """Compute the phi correlation of two equally accurate strategies, from Owen's T (Owen 1956)."""
    both = accuracy - 2 * owens_t(ndtri(accuracy), np.sqrt((1 - latent) / (1 + latent)))
    return np.asarray((both - accuracy**2) / (accuracy * (1 - accuracy)))


def macro_f1(shares: Floats, right: Floats, confusion: Floats) -> Floats:
    """Compute the true macro-F1 of each strategy, (K, C) to (K,)."""
    hits = shares * right
    predicted = hits + (shares * (1 - right)) @ confusion
    return np.asarray((2 * hits / (shares + predicted)).mean(axis=1))


def _roles(kind: str, features: float, rng: np.random.Generator) -> list[Role]:
    least = max(STRATEGIES[0], 3) if kind == "level-rival" else STRATEGIES[0]
    number = int(rng.integers(least, STRATEGIES[1] + 1))
    baselines = 0 if kind in NO_BASELINE else int(rng.integers(1, 3)) if number >= 4 else 1
    return [Role.BASELINE] * baselines + [_role(rng.random(), features) for _ in range(number - baselines)]


def _role(at: float, features: float) -> Role:
    """Give the role at a point of 0-1 on which the probabilities of the roles are laid out."""
    return Role.TUNING if at < TUNED else Role.FEATURES if at < TUNED + features else Role.PROMPTING


def _costs(roles: list[Role], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw USD per 1,000 requests and for training, no two totals within 15%."""
    while True:
        usd_per_1k = np.array([_log_uniform(USD_PER_1K[role], rng) for role in roles])
        train_usd = np.array([_log_uniform(TRAIN_USD, rng) if role is Role.TUNING else 0.0 for role in roles])
        total = np.sort(train_usd + usd_per_1k * REQUESTS / 1000)
        if (total[1:] >= COST_STEP * total[:-1]).all():
            return usd_per_1k, train_usd


def _gaps(kind: str, is_baseline: NDArray[np.bool_], usd_total: Floats, rng: np.random.Generator) -> Floats:
    """Draw the gaps to the best true score, (K,)."""
    number = len(is_baseline)
    baselines, others = np.flatnonzero(is_baseline), np.flatnonzero(~is_baseline)
    gaps = rng.uniform(0, NARROW_GAP if kind == "narrow" else WIDEST_GAP, size=number)
    if kind in ("level", "level-no-baseline"):
        gaps[:] = 0
    elif kind == "level-baseline":
        gaps[[rng.choice(baselines), rng.choice(others)]] = 0
    elif kind == "level-rival":
        dearest = others[np.argmax(usd_total[others])]
        gaps[[dearest, rng.choice(others[others != dearest])]] = 0
    elif kind == "near-margin":
        gaps[rng.choice(others)] = 0
        nearest = rng.uniform(0, NARROW_GAP)
        gaps[baselines] = np.maximum(gaps[baselines], nearest)
        gaps[rng.choice(baselines)] = nearest
    else:
        gaps[rng.integers(number)] = 0
    return gaps


def _in_order_of_cost(truth: Floats, usd_total: Floats, others: Codes, rng: np.random.Generator) -> Floats:
    """Give the higher scores of the language-model strategies to the dearer ones, but for some noise."""
    found = truth.copy()
    noisy = truth[others] + rng.normal(0, RISING_NOISE, size=len(others))
    found[others[np.argsort(usd_total[others])]] = truth[others[np.argsort(noisy)]]
    return found


def _names(roles: list[Role]) -> tuple[str, ...]:
    """Name the strategies in table order; the first that prompts, the cheapest of them, is `zero-shot`."""
    names, seen = [], dict.fromkeys(Role, 0)
    for role in roles:
        seen[role] += 1
        first = role is Role.PROMPTING and seen[role] == 1
        names.append("zero-shot" if first else f"{role.value}-{seen[role]}")
    return tuple(names)


def two_labels(truth: Floats) -> Answers:
    return Answers(np.full(2, 0.5), np.repeat(truth[:, None], 2, axis=1), np.eye(2)[::-1])


def several_labels(truth: Floats, shares: Floats, rng: np.random.Generator) -> Answers:
    """Make answers over labels with these shares whose macro-F1 are exactly `truth`."""
    number = len(shares)
    confusion = np.zeros((number, number))
    for label in range(number):
        confusion[label, np.arange(number) != label] = rng.dirichlet(np.ones(number - 1))
    hardness = rng.normal(0, 0.3, size=number) + rng.normal(0, 0.15, size=(len(truth), number))
    low, high = np.full(len(truth), -6.0), np.full(len(truth), 6.0)
    for _ in range(60):
        middle = (low + high) / 2
        below = macro_f1(shares, ndtr(middle[:, None] - hardness), confusion) < truth
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return Answers(shares, ndtr(((low + high) / 2)[:, None] - hardness), confusion)


def _shares(rng: np.random.Generator) -> Floats:
    """Draw the shares of a random number of labels, none of them very rare."""
    number = int(rng.integers(LABELS[0], LABELS[1] + 1))
    shares = rng.dirichlet(np.full(number, 10.0))
    while shares.min() < SMALLEST_SHARE:
        shares = rng.dirichlet(np.full(number, 10.0))
    return shares


def _log_uniform(ends: tuple[float, float], rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(*np.log(ends))))


def log_whole(ends: tuple[int, int], rng: np.random.Generator) -> int:
    return round(_log_uniform((float(ends[0]), float(ends[1])), rng))
