"""From a run to the bundle of its winner, or of any strategy that it measured.

Not covered: what a bundle holds (`llmtl.serving.bundle`), starting a server on it (`llmtl.pipeline.serve`).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from llmtl.costs import token_prices
from llmtl.decision.promise import Promise
from llmtl.errors import BundleError
from llmtl.pipeline.models import encoder_identity, encoder_source_of, identity, located, source_of
from llmtl.pipeline.run_folder import Run, load_run
from llmtl.pipeline.run_format import INDEX, read_examples, read_provenance
from llmtl.progress import Progress, Silent
from llmtl.report.serving import in_int8
from llmtl.seals import damaged
from llmtl.serving.bundle.manifest import FORMAT, Abstaining
from llmtl.serving.bundle.provider import HostedWinner, hosted_winner
from llmtl.serving.bundle.read import is_bundle, open_bundle
from llmtl.serving.bundle.signature import read_private_key, sign
from llmtl.serving.bundle.source import BundleSource, InFront, MeasuredStrategy
from llmtl.serving.bundle.write import write_bundle
from llmtl.store import as_path, digest, read_json
from llmtl.strategies.cascade import facts_of_cascade
from llmtl.strategies.table import STRATEGIES, sending_away
from llmtl.strategy import ProviderServed, Runs
from llmtl.version import __version__

BUNDLE_FOLDER = "bundle"


def export(
    run: Run | Path | str,
    out: Path | str | None = None,
    *,
    strategy: str | None = None,
    merge: bool = False,
    int8: bool = False,
    sign_with: Path | str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Return the folder of the bundle of a run's winner, or of another strategy that it measured.

    `out` is `RUN/bundle` by default; a bundle there that was made from the same is kept, and one made from something
    else is replaced. `merge` merges the adapter into the base model. `int8` puts the winner's encoder in int8, for a
    CPU, with as much of it in float32 as it takes for at least 99.5% of its answers on dev, test and train to stay; the
    progress says what came of it. `sign_with` is a private Ed25519 key in PEM. Raises `BundleError`, `RunError` for an
    unfinished run, `MissingPackageError` for int8 without ONNX Runtime, or `InputError` for a key that cannot sign.
    """
    progress = progress or Silent()
    key = read_private_key(Path(sign_with), progress) if sign_with is not None else None
    finished = run if isinstance(run, Run) else load_run(run)
    folder = as_path(out, "The folder of the bundle") if out is not None else finished.folder / BUNDLE_FOLDER
    source = bundle_source(finished, strategy, folder=folder, merge=merge, progress=progress)
    if int8:
        source = replace(source, made_from=f"{source.made_from}-int8")
    if _is_current(folder, source, progress):
        written = folder.resolve()
    else:
        written = write_bundle(source, folder, merge=merge, int8=int8, progress=progress)
    check = open_bundle(written, verify=False).int8 if int8 else None
    if check is not None:
        progress.say(in_int8(check))
    if key is not None:
        sign(written, key)
    return written


def bundle_source(
    run: Run, strategy: str | None, *, folder: Path, merge: bool, progress: Progress | None = None
) -> BundleSource:
    """Return what a bundle in `folder` is written from.

    Raises `BundleError` for a strategy that was not measured, or when the model is not the one that was.
    """
    winner = strategy or run.decision.winner
    if winner not in run.index.fits:
        raise BundleError(f"The run has no strategy '{winner}'; it measured {', '.join(run.index.fits)}.")
    # a cascade is served as what its second member is, with the first in front; beside it only what was fitted
    measured = tuple(_measured(run, name) for name in run.index.fits if name == winner or run.cascade(name) is None)
    served = next(each for each in measured if each.name == winner)
    cascade = run.cascade(winner)
    if isinstance(served.served, ProviderServed):
        _require_allowed(run, cascade.then if cascade else winner)
    elif served.facts.runs is Runs.BASE_MODEL:
        _require_same_model(run, served, progress or Silent())
    if served.facts.looks_at_encoder:
        _require_same_encoder(run, served)
    return BundleSource(
        task=run.task,
        winner=winner,
        strategies=measured,
        train=read_examples(run.folder, "train"),
        test=read_examples(run.folder, "test"),
        model=source_of(run.recipe.model),
        model_name=run.recipe.model.name,
        device=run.fit(winner).device,
        decision=run.decision,
        summary=run.summary,
        provenance=read_provenance(run.folder),
        sizes={name: len(read_examples(run.folder, name)) for name in ("train", "dev", "test")},
        made_from=_made_from(run, winner, folder, merge=merge),
        hosted=_hosted(run, served),
        first=InFront(_measured(run, cascade.first), cascade.threshold, cascade.then) if cascade else None,
        abstaining=_abstaining(run),
        encoder=encoder_source_of(run.recipe.encoder),
        dev=read_examples(run.folder, "dev"),
    )


def _abstaining(run: Run) -> dict[str, Abstaining]:
    """Return by strategy when it leaves an input to a person; nothing of those for which test showed no threshold."""
    decision, text = run.decision, run.recipe.task.abstain_text
    return {
        item.strategy: Abstaining(item.threshold, decision.max_error_automated, text, item.calibration)
        for item in decision.automation
        if item.promise is Promise.SHOWN and item.threshold is not None and decision.max_error_automated is not None
    }


def _measured(run: Run, name: str) -> MeasuredStrategy:
    """Return one strategy of the run."""
    test, dev = (
        next((each for each in run.evaluations if each.strategy == name and each.split == split), None)
        for split in ("test", "dev")
    )
    assert test is not None
    cascade = run.cascade(name)
    fitted = cascade.then if cascade else name
    facts = STRATEGIES[fitted].facts
    if cascade is not None:
        facts = facts_of_cascade(cascade, STRATEGIES[cascade.first].facts, facts)
    return MeasuredStrategy(facts, test, run.folder / run.index.fits[fitted], lambda: run.predictor(fitted), dev)


def _require_allowed(run: Run, name: str) -> None:
    """Raise `BundleError` where inputs must stay private."""
    if run.recipe.decision.private and name in sending_away(run.recipe.strategies):
        raise BundleError(f"'{name}' sends inputs to its provider, which the recipe's decision.private forbids.")


def _hosted(run: Run, served: MeasuredStrategy) -> HostedWinner | None:
    """Return where the winner's model is; None where it runs here."""
    if not isinstance(served.served, ProviderServed):
        return None
    model = served.served.model
    return hosted_winner(model.endpoint, token_prices(run.recipe.prices), served.test, top_logprobs=model.top_logprobs)


def _require_same_model(run: Run, served: MeasuredStrategy, progress: Progress) -> None:
    """Raise `BundleError` when the model's files are not those that were measured."""
    measured = _depends_on(served.folder).get("model")
    if identity(run.recipe.model, located(source_of(run.recipe.model), progress)) != measured:
        raise BundleError(
            f"The model '{run.recipe.model.name}' is not the one that was measured: its files were changed or moved; "
            "restore them, or run the recipe again."
        )


def _require_same_encoder(run: Run, served: MeasuredStrategy) -> None:
    """Raise `BundleError` when the encoder's files are not those that were measured."""
    measured = _depends_on(served.folder).get("encoder")
    source = encoder_source_of(run.recipe.encoder)
    if measured is not None and source is not None and encoder_identity(source) != measured:
        raise BundleError(
            f"The encoder '{source.name}' is not the one that was measured: its files were changed or moved; restore "
            "them, or run the recipe again."
        )


def _depends_on(folder: Path) -> dict[str, Any]:
    """Read what a step was computed from; raises `RunError` for anything but an object."""
    found = read_json(folder / "depends_on.json")
    if not isinstance(found, dict):
        raise damaged(folder / "depends_on.json")
    return found


def _made_from(run: Run, winner: str, folder: Path, *, merge: bool) -> str:
    """Return a hash of all that a bundle depends on: steps are named after the hash of what they were computed from."""
    depends: dict[str, Any] = {
        "llmtl": __version__,
        "format": FORMAT,
        "index": read_json(run.folder / INDEX),
        "decision": read_json(run.folder / "decision.json"),
        "model": run.recipe.model.model_dump(mode="json"),
        "encoder": run.recipe.encoder.model_dump(mode="json") if run.recipe.encoder else None,
        "settings": [run.recipe.strategies.of(name).model_dump(mode="json") for name in _fitted(run, winner)],
        "abstain_text": run.recipe.task.abstain_text,
        "winner": winner,
        "merge": merge,
        "folder": str(folder.resolve()),  # stands in vllm.yaml
    }
    return digest(depends)


def _fitted(run: Run, name: str) -> tuple[str, ...]:
    """Return the fitted strategies that a measured one consists of: itself, or the members of a cascade."""
    cascade = run.cascade(name)
    return (name,) if cascade is None else (cascade.first, cascade.then)


def _is_current(folder: Path, source: BundleSource, progress: Progress) -> bool:
    """Return whether `folder` holds, unchanged, the bundle that would be written; says so when it was changed."""
    if not is_bundle(folder):
        return False
    try:
        if open_bundle(folder, verify=False).made_from != source.made_from:
            return False
        open_bundle(folder, progress=progress)
    except BundleError as error:
        progress.say(f"{error} It is written again now.")
        return False
    return True
