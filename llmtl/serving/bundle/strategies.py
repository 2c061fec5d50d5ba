"""Which measured strategies the server of a bundle can run, under which names, with which demonstrations.

Not covered: running them (`llmtl.serving.task_api.middleware`).
"""

from collections.abc import Iterator
from dataclasses import replace

from llmtl.errors import BundleError
from llmtl.serving.bundle.lookup import too_large_to_embed
from llmtl.serving.bundle.manifest import BaseModel, ServedStrategy, Weights
from llmtl.serving.bundle.source import BundleSource, MeasuredStrategy
from llmtl.strategy import CascadeServed, LocalServed, PromptServed, ProviderServed, Retrieval, Retrieved, Role, Served


def served_winner(source: BundleSource, *, merge: bool) -> ServedStrategy:
    """Describe the winner as it is served: under the task's name, by whatever weights it needs."""
    measured = source.served
    if reason := _unservable(source, measured):
        raise BundleError(f"'{measured.name}' cannot be served: {reason}.")
    weights = weights_of(measured)
    if merge and weights is Weights.ADAPTER:
        weights = Weights.MERGED
    name = source.task.name
    served = _strategy(measured, model=name, engine_model=name, weights=weights)
    return replace(served, abstains=source.abstaining.get(measured.name))


def served_others(source: BundleSource, base: BaseModel | None, winner: ServedStrategy) -> tuple[ServedStrategy, ...]:
    """List the other measured strategies that the same server can run: baselines, and what the base model can.

    Merged weights are no longer the base model's, and only vLLM runs several on one.
    """
    return (*_on_base(source, base, winner), *_baselines(source, winner))


def _baselines(source: BundleSource, winner: ServedStrategy) -> Iterator[ServedStrategy]:
    """List the baselines, which run in the process of any server."""
    for measured in source.strategies:
        if measured.facts.role is not Role.BASELINE or measured.name == winner.name:
            continue
        served = measured.served
        if isinstance(served, LocalServed) and not (served.needs_base_model or served.needs_encoder):
            model = f"{source.task.name}/{measured.name}"
            found = _strategy(measured, model=model, engine_model=model, weights=Weights.CLASSIFIER)
            yield replace(found, abstains=source.abstaining.get(measured.name))


def _on_base(source: BundleSource, base: BaseModel | None, winner: ServedStrategy) -> tuple[ServedStrategy, ...]:
    """List the other strategies that prompt the base model, or the one adapter that the bundle holds.

    That is the winner's, or else that of the first strategy that has one.
    """
    if base is None or winner.weights not in (Weights.BASE, Weights.ADAPTER):
        return ()
    found = []
    adapted = source.run_by_weights.name if winner.weights is Weights.ADAPTER else None
    for measured in source.strategies:
        weights = weights_of(measured)
        if weights is Weights.ADAPTER:
            adapted = adapted or measured.name
            if measured.name != adapted:
                continue
        elsewhere = weights not in (Weights.BASE, Weights.ADAPTER)
        if measured.name == winner.name or elsewhere or _unservable(source, measured):
            continue
        model = f"{source.task.name}/{measured.name}"
        engine_model = model if weights is Weights.ADAPTER else base.name
        if weights is winner.weights is Weights.ADAPTER:  # the second member of the cascade that wins
            engine_model = winner.engine_model
        served = _strategy(measured, model=model, engine_model=engine_model, weights=weights)
        found.append(replace(served, abstains=source.abstaining.get(measured.name)))
    return tuple(found)


def weights_of(measured: MeasuredStrategy) -> Weights:
    """Say what computes a measured strategy's answer."""
    return _weights(measured.served)


def _weights(served: Served) -> Weights:
    match served:
        case CascadeServed(then=then):
            return _weights(then)
        case LocalServed():
            return Weights.CLASSIFIER
        case ProviderServed():
            return Weights.HOSTED
        case PromptServed(checkpoint=None):
            return Weights.BASE if served.adapter is None else Weights.ADAPTER
        case PromptServed():
            return Weights.WHOLE


def _unservable(source: BundleSource, measured: MeasuredStrategy) -> str | None:
    """Return why no server of llmtl can run a measured strategy, and the cure; None where one can."""
    found = _retrieved(measured)
    if found is not None and found.by is Retrieval.MODEL:
        return too_large_to_embed(source.model, source.dtype)
    return None


def _retrieved(measured: MeasuredStrategy) -> Retrieved | None:
    """Return how a measured strategy retrieves its demonstrations; None where it does not."""
    return measured.served.retrieved if isinstance(measured.served, PromptServed) else None


def retrieving(source: BundleSource, served: tuple[ServedStrategy, ...]) -> Retrieved | None:
    """Say how the served strategy that retrieves does so; None where none retrieves."""
    return next((_retrieved(source.strategy(each.name)) for each in served if each.retrieved), None)


def _strategy(measured: MeasuredStrategy, *, model: str, engine_model: str, weights: Weights) -> ServedStrategy:
    """Return one strategy with its demonstrations."""
    known = ServedStrategy(name=measured.name, model=model, engine_model=engine_model, weights=weights)
    if isinstance(measured.served, LocalServed):
        return known
    prompt = measured.prompt
    found = prompt.retrieved
    return replace(
        known,
        demonstrations=prompt.demonstrations,
        retrieved=found.shots if found else 0,
        retrieval=found.by if found else Retrieval.TFIDF,
        instruction=prompt.instruction,
        calibration=prompt.calibration,
        rotations=prompt.rotations,
    )
