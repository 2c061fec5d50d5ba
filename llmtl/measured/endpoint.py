"""What a live endpoint was measured to do: the values in `serving.json`, which the report shows and costs rest on.

Not covered: measuring it (`llmtl.serving`).
"""

from dataclasses import dataclass

from pydantic import TypeAdapter

SERVING_FILE = "serving.json"
"""The file's name in a run folder, or in a bundle that is served without its run."""


@dataclass(frozen=True)
class Load:
    """Single-message chat requests at one concurrency: latencies as a client sees them, and the rate reached."""

    concurrency: int
    requests: int
    errors: int
    p50_ms: float
    p95_ms: float
    requests_per_second: float


@dataclass(frozen=True)
class Disagreement:
    """A recorded test input whose served label differs from the measured one.

    `recorded_probabilities` and `served_probabilities` map the two labels to their probabilities. `close` says whether
    the two top labels were within the tolerance in what was measured, so that rounding may swap them.
    """

    id: str
    text: str
    recorded: str | None
    served: str | None
    recorded_probabilities: dict[str, float]
    served_probabilities: dict[str, float]
    close: bool


@dataclass(frozen=True)
class Parity:
    """Recorded test inputs replayed through the live endpoint.

    `passed`: at least `required` of the labels agree and every disagreement is close. `largest_difference` is the
    largest absolute difference between a recorded and a served probability of any label, and `compared_probabilities`
    says whether there was any to compare. `abstentions_differ` counts the inputs that were left to a person in one of
    the two and not in the other, though the measured confidence was not close to the threshold; None where no threshold
    was shown. With one of them nothing is passed.
    """

    compared: int
    agreed: int
    required: float
    passed: bool
    largest_difference: float
    disagreements: tuple[Disagreement, ...] = ()
    compared_probabilities: bool = True
    abstentions_differ: int | None = None

    @property
    def agreement(self) -> float:
        """Give the share of equal labels, 0 to 1."""
        return self.agreed / self.compared


@dataclass(frozen=True)
class Paid:
    """What a hosted model's provider was paid for starting, measuring and checking a server."""

    requests: int
    usd: float

    @property
    def usd_per_1k_requests(self) -> float:
        """Price 1,000 requests like these, USD."""
        return 1000 * self.usd / self.requests if self.requests else 0.0


@dataclass(frozen=True)
class Int8Check:
    """Whether a winner's encoder is served in int8, and how far its answers there are those that were measured before.

    `compared` are the inputs of dev, test and train, those of train `compared_on_train`; `agreed` and `agreed_on_train`
    are those with the same answer, which is left to a person in both or in neither. It is `taken` where their share is
    at least `required` and that on dev and test alone is not surprisingly small. So many of the encoder's `products`
    with constant weights are `floats`, in float32: of a form that is not taken, those of the nearest one that was
    tried. `score` is that of test in int8 and `score_before` that of the run, both by the task's metric;
    `largest_difference` is that of any label's probability. `fault` says why the encoder cannot be written in int8;
    then nothing was compared.
    """

    taken: bool
    compared: int = 0
    agreed: int = 0
    required: float = 0.0
    largest_difference: float = 0.0
    score: float = 0.0
    score_before: float = 0.0
    fault: str = ""
    compared_on_train: int = 0
    agreed_on_train: int = 0
    floats: int = 0
    products: int = 0


@dataclass(frozen=True)
class Served:
    """One measurement of a live server.

    `engine` names it with its version (`vllm 0.32.0`, or `llmtl 0.1.0` for a winner that is not a language model);
    `device` is `cpu` or `cuda`, or `hosted` where a provider computes the answers: then `paid` says what that took.
    `loads` has one entry a concurrency, in rising order. `usd_per_1k_requests` is the machine's price at the best rate
    reached, or what the provider was paid for its tokens. `accepted_drift` says that the user let a server through that
    failed the parity check. `int8` is None where nobody asked for an encoder in int8.
    """

    task: str
    strategy: str
    engine: str
    device: str
    measured_at: str
    parity: Parity
    loads: tuple[Load, ...]
    usd_per_1k_requests: float
    accepted_drift: bool = False
    paid: Paid | None = None
    int8: Int8Check | None = None

    @property
    def alone(self) -> Load | None:
        """Pick the load of one request at a time; None where it was not measured."""
        return self.loads[0] if self.loads and self.loads[0].concurrency == 1 else None


SERVED = TypeAdapter(Served)
