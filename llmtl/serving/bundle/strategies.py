"""Which measured strategies the weights of a bundle can run, under which names, with which demonstrations.

Not covered: running them (`llmtl.serving.task_api.middleware`).
"""

from collections.abc import Sequence

from llmtl.errors import BundleError
from llmtl.prompting.config import Retrieval
from llmtl.prompting.demonstrations import interleaved
from llmtl.prompting.prompts import calibration_of
from llmtl.serving.bundle.manifest import BaseModel, ServedStrategy, Weights
from llmtl.serving.bundle.retrieval import too_large_to_embed
from llmtl.serving.bundle.source import BundleSource, Measured
from llmtl.strategies.table import HOSTED
from llmtl.strategy import Role
from llmtl.task import Example


def served_winner(source: BundleSource, *, merge: bool) -> ServedStrategy:
    """Return the winner as it is served: under the task's name, by whatever weights it needs."""
    measured = source.served
    if reason := _unservable(source, measured):
        raise BundleError(f"'{measured.name}' cannot be served: {reason}.")
    weights = weights_of(measured)
    if merge and weights is Weights.ADAPTER:
        weights = Weights.MERGED
    name = source.task.name
    return _strategy(source, measured, model=name, engine_model=name, weights=weights)


def served_others(source: BundleSource, base: BaseModel | None, winner: ServedStrategy) -> tuple[ServedStrategy, ...]:
    """Return the other measured strategies that the same base model can run.

    Merged weights are no longer the base model's, classifiers and hosted models have none: nothing is beside these.
    """
    if base is None or winner.weights is Weights.MERGED:
        return ()
    found = []
    for measured in source.strategies:
        weights = weights_of(measured)
        elsewhere = weights in (Weights.CLASSIFIER, Weights.HOSTED)
        if measured.name == winner.name or elsewhere or _unservable(source, measured):
            continue
        model = f"{source.task.name}/{measured.name}"
        engine_model = model if weights is Weights.ADAPTER else base.name
        found.append(_strategy(source, measured, model=model, engine_model=engine_model, weights=weights))
    return tuple(found)


def weights_of(measured: Measured) -> Weights:
    """Return what computes a measured strategy's answer."""
    if measured.role is Role.BASELINE:
        return Weights.CLASSIFIER
    if measured.name in HOSTED:
        return Weights.HOSTED
    return Weights.BASE if measured.adapter is None else Weights.ADAPTER


def _unservable(source: BundleSource, measured: Measured) -> str | None:
    """Return why no server of llmtl can run a measured strategy, and the cure; None where one can."""
    if _retrieval(measured) is Retrieval.MODEL:
        return too_large_to_embed(source.model, source.dtype)
    return None


def _retrieval(measured: Measured) -> Retrieval:
    """Return what similarity a measured strategy retrieves by."""
    return Retrieval(measured.state.get("retrieval", Retrieval.TFIDF))


def retrieving(source: BundleSource, served: tuple[ServedStrategy, ...]) -> Measured | None:
    """Return the served strategy that retrieves its demonstrations, or None."""
    return next((source.strategy(each.name) for each in served if each.retrieved), None)


def demonstration_pool(source: BundleSource, measured: Measured) -> tuple[Example, ...]:
    """Return the examples that a strategy retrieves from, in the index order that it was measured with.

    Of equally similar examples the first come first.
    """
    task, seed = source.task, measured.state["seed"]
    return interleaved(source.train, task.labels, count=len(source.train), seed=seed, kind=task.kind)


def _strategy(
    source: BundleSource, measured: Measured, *, model: str, engine_model: str, weights: Weights
) -> ServedStrategy:
    """Return one strategy with its demonstrations."""
    fixed = measured.state.get("demonstrations", ())
    return ServedStrategy(
        name=measured.name,
        model=model,
        engine_model=engine_model,
        weights=weights,
        demonstrations=_examples(source, fixed),
        retrieved=int(measured.state["shots"]) if measured.role is Role.PROMPTING and "shots" in measured.state else 0,
        retrieval=_retrieval(measured),
        instruction=measured.state.get("instruction"),
        calibration=calibration_of(measured.state),
    )


def _examples(source: BundleSource, ids: Sequence[str]) -> tuple[Example, ...]:
    """Return the training examples with these ids; raises `BundleError` when one is gone."""
    known = {example.id: example for example in source.train}
    missing = [each for each in ids if each not in known]
    if missing:
        raise BundleError(f"Demonstration '{missing[0]}' is not in the run's training examples; run the recipe again.")
    return tuple(known[each] for each in ids)
