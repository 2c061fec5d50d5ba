"""Writing a bundle: its files one after another into a temporary folder beside the target, then renamed into place.

Not covered: taking what they hold from a run (`llmtl.pipeline.export`), starting a server on it.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path
from typing import Any

from llmtl.encoders.checkpoint import fetch_encoder
from llmtl.engines.checkpoint import copy_tokenizer, fetch_checkpoint
from llmtl.engines.tokenizer import TokenizerWording
from llmtl.errors import BundleError
from llmtl.left_overs import held, remove_abandoned
from llmtl.progress import Progress, Silent
from llmtl.prompting.template import Template
from llmtl.serving.bundle import manifest as names
from llmtl.serving.bundle.admission import require_data, require_plain
from llmtl.serving.bundle.baking import bake, hostile_texts, verify_baked
from llmtl.serving.bundle.card import Card, card
from llmtl.serving.bundle.checkpoint_files import (
    checked_adapter,
    copy_adapter,
    copy_base,
    copy_encoder,
    copy_legal,
    copy_licence,
    describe_base,
    tuned_checkpoint,
)
from llmtl.serving.bundle.constraint import answer_tokens, constrained, output_of
from llmtl.serving.bundle.hashes import write_hashes
from llmtl.serving.bundle.int8_form import Int8Outcome, require_int8
from llmtl.serving.bundle.local import write_local
from llmtl.serving.bundle.lookup import open_index, write_retrieval
from llmtl.serving.bundle.manifest import (
    BUNDLE,
    RECORDED_ROWS,
    AnswersFirst,
    BaseModel,
    Bundle,
    HeldEncoder,
    Output,
    Recorded,
    Weights,
)
from llmtl.serving.bundle.merge import MergeCheck, check_merged, write_merged
from llmtl.serving.bundle.provider import write_hosted
from llmtl.serving.bundle.read import EXAMPLES, is_bundle, load_bundle_tokenizer, read_pool
from llmtl.serving.bundle.source import BundleSource
from llmtl.serving.bundle.strategies import retrieving, served_others, served_winner, weights_of
from llmtl.serving.bundle.vllm_config import vllm_arguments, vllm_yaml
from llmtl.serving.task_api.conversations import Conversations
from llmtl.store import now, versions, write_json, write_json_lines, write_text
from llmtl.strategies.cascade import confidence
from llmtl.strategy import LocalServed, Prediction
from llmtl.task import Message

VERIFIED = 200
"""Recorded inputs on which the chat template is compared with the measured wording, at most."""


@dataclass(frozen=True)
class Writing:
    """One writing: everything goes into `folder`, which will be `out`."""

    source: BundleSource
    folder: Path
    out: Path
    merge: bool
    int8: bool
    progress: Progress


def write_bundle(
    source: BundleSource, out: Path, *, merge: bool = False, int8: bool = False, progress: Progress | None = None
) -> Path:
    """Return `out`, which then holds the bundle of `source`; `merge` merges the winner's adapter into its base model.

    With `int8` the winner's encoder is in int8 where its answers stay; the bundle says whether it is. What was in `out`
    is replaced only when it is a bundle. On any failure `out` is as it was. Raises `BundleError`, and
    `MissingPackageError` for int8 without ONNX Runtime.
    """
    out = out.resolve()
    _require_replaceable(out)
    if merge and weights_of(source.served) is not Weights.ADAPTER:
        raise BundleError(f"'{source.winner}' has no adapter that could be merged; export without --merge.")
    if int8:
        require_int8(source)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(_left(out))
        work = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    except OSError as error:
        raise BundleError(f"No bundle can be written at '{out}' ({error.strerror}); name another folder.") from error
    try:
        with held(work):
            work.chmod(0o755)  # a server in a container may run as another user
            _write_files(Writing(source, work, out, merge, int8, progress or Silent()))
            _put_in_place(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)  # gone already, unless something failed
    return out


def _left(out: Path) -> list[Path]:
    """List the folders of exports to `out` that were killed, as far as their names tell."""
    names = (f".{escape(out.name)}-????????{end}" for end in ("", "-old"))
    return [path for name in names for path in out.parent.glob(name)]


def _require_replaceable(out: Path) -> None:
    """Raise `BundleError` when something is at `out` that is neither a bundle nor an empty folder."""
    if out.exists() and not out.is_dir():
        raise BundleError(f"'{out}' is a file; name a folder for the bundle.")
    if out.is_dir() and any(out.iterdir()) and not is_bundle(out):
        raise BundleError(f"The folder '{out}' is not empty and not a bundle; name a new folder, or empty this one.")


def _put_in_place(work: Path, out: Path) -> None:
    """Rename `work` to `out`; the bundle that was there is deleted only after that, and comes back when it fails."""
    if not out.exists():
        work.rename(out)
        return
    old = work.with_name(f"{work.name}-old")
    out.rename(old)
    try:
        work.rename(out)
    finally:
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(out)


def _write_files(job: Writing) -> None:
    """Write every file of the bundle; the hashes come last."""
    folder, source = job.folder, job.source
    weights = weights_of(source.served)
    small = Int8Outcome.of(source, folder, job.progress) if job.int8 else Int8Outcome()
    if weights is Weights.CLASSIFIER:
        bundle, check = _local(job, small), None
    elif weights is Weights.HOSTED:
        bundle, check = _hosted(job), None
    else:
        bundle, check = _language_model(job)
    if source.first is not None:
        write_local(source.first.strategy.predictor, folder / names.FIRST_FOLDER)
    for each in bundle.others:
        if each.weights is Weights.CLASSIFIER:
            write_local(source.strategy(each.name).predictor, folder / names.BESIDE_FOLDER / each.name)
    bundle = replace(bundle, encoder=_encoder(job, small), int8=small.check)
    rows = _recorded(source, small.test or source.served.test.predictions)
    write_json_lines(folder / names.RECORDED, list(RECORDED_ROWS.dump_python(rows, mode="json")))
    write_json(folder / names.LABELS, _labels(bundle))
    write_json(folder / names.REQUEST, _request(bundle, folder, rows[0].text))
    if bundle.on_vllm:
        _vllm_files(job, bundle)
    write_json(folder / names.MANIFEST, BUNDLE.dump_python(bundle, mode="json"))
    write_text(folder / names.CARD, card(Card(source, bundle, check, pool=len(read_pool(folder)))))
    require_data(folder)
    require_plain(bundle, folder)  # what could not be opened again is not written
    write_hashes(folder, job.progress)


def _local(job: Writing, small: Int8Outcome) -> Bundle:
    """Write what the winner saves, and the base model if it needs that; return what the bundle serves."""
    source, winner = job.source, job.source.served
    base = None
    if isinstance(winner.served, LocalServed) and winner.served.needs_base_model:
        base = describe_base(source.model, source.model_name, dtype=source.dtype, task=source.task.name)
        _base_files(job, base)
    write_local(small.predictor or winner.predictor, job.folder / names.CLASSIFIER_FOLDER)
    embeds = isinstance(winner.served, LocalServed) and winner.served.embeds
    output = Output(source.task.kind.output, embeds=embeds)
    return replace(_bundle(job, base), answers=source.task.labels, output=output)


def _hosted(job: Writing) -> Bundle:
    """Return what a bundle of a hosted model serves; where that is, is written."""
    source = job.source
    if source.hosted is None:
        raise BundleError(f"Nothing says where '{source.winner}' is hosted; export from the run.")
    write_hosted(source.hosted, job.folder)
    output = Output(source.task.kind.output, max_tokens=source.served.prompt.max_tokens)
    return replace(_bundle(job, None), answers=source.task.labels, output=output)


def _language_model(job: Writing) -> tuple[Bundle, MergeCheck | None]:
    """Return what a bundle with a language model serves, and how merging went; weights and templates are written."""
    source = job.source
    base = describe_base(source.model, source.model_name, dtype=source.dtype, task=source.task.name)
    bundle = _bundle(job, base)
    check = None
    if bundle.winner.weights.own:
        bundle = replace(bundle, base=replace(base, source=names.MODEL_FOLDER, hub=False, revision=None))
        if bundle.winner.weights is Weights.MERGED:
            check = _merged(job, base)
        else:
            _tuned(job)
    else:
        _base_files(job, base)
        bundle = replace(bundle, lora_rank=_adapter(job, bundle))
    _retrieval(job, bundle)
    return _worded(job, bundle), check


def _bundle(job: Writing, base: BaseModel | None) -> Bundle:
    """Return what is known of the bundle before its files are written."""
    source = job.source
    winner = served_winner(source, merge=job.merge)
    return Bundle(
        task=source.task,
        winner=winner,
        others=served_others(source, base, winner),
        base=base,
        answers=(),
        answer_tokens=(),
        lora_rank=0,
        created=now(),
        llmtl_version=versions()["llmtl"],
        verdict=str(source.decision.verdict),
        made_from=source.made_from,
        first=_first(source),
    )


def _encoder(job: Writing, small: Int8Outcome) -> HeldEncoder | None:
    """Write the encoder that the winner, or what answers first, reads texts with; None where neither does.

    Of one that is there in int8 already, only its licence is written.
    """
    source = job.source
    local = [source.served.served, *([source.first.strategy.served] if source.first else [])]
    if not any(isinstance(each, LocalServed) and each.needs_encoder for each in local):
        return None
    if source.encoder is None:
        raise BundleError(f"Nothing says which encoder '{source.winner}' was measured with; export from the run.")
    checkpoint = fetch_encoder(source.encoder)
    if small.predictor is not None:
        licence = copy_licence(checkpoint, (job.folder / names.INT8_MODEL).parent)
    else:
        licence = copy_encoder(checkpoint, job.folder / names.ENCODER_FOLDER, job.progress)
    name = source.encoder.name
    return HeldEncoder(name if not Path(name).expanduser().is_dir() else checkpoint.name, licence)


def _first(source: BundleSource) -> AnswersFirst | None:
    """Say what answers before the winner's weights are asked, where the winner is a cascade."""
    if source.first is None:
        return None
    first = source.first.strategy
    passed_on = [confidence(item) < source.first.threshold for item in first.test.predictions]
    return AnswersFirst(first.name, source.first.threshold, source.first.then, sum(passed_on) / len(passed_on))


def _base_files(job: Writing, base: BaseModel) -> None:
    """Write a local base model, or the tokenizer of one that stays on the Hub."""
    source = job.source.model
    if base.hub:
        copy_tokenizer(fetch_checkpoint(source.name, source.revision), job.folder / names.TOKENIZER_FOLDER)
    else:
        copy_base(fetch_checkpoint(source.name, source.revision), job.folder / names.MODEL_FOLDER, job.progress)


def _merged(job: Writing, base: BaseModel) -> MergeCheck:
    """Write the merged checkpoint and return how its predictions compare with the recorded ones."""
    source, folder = job.source, job.folder / names.MODEL_FOLDER
    measured = source.served
    checkpoint = fetch_checkpoint(source.model.name, source.model.revision)
    adapter = checked_adapter(measured)
    job.progress.say("Merging the adapter into the base model")
    copy_tokenizer(checkpoint, folder)
    copy_legal(checkpoint, folder)
    write_merged(source.model, adapter, folder, dtype=base.dtype)
    return check_merged(folder, source, dtype=base.dtype, progress=job.progress)


def _tuned(job: Writing) -> None:
    """Write the checkpoint whose own weights were tuned, with the licence of the model that it was made from."""
    source, folder = job.source, job.folder / names.MODEL_FOLDER
    copy_base(tuned_checkpoint(source.run_by_weights), folder, job.progress)
    copy_legal(fetch_checkpoint(source.model.name, source.model.revision), folder)


def _retrieval(job: Writing, bundle: Bundle) -> None:
    """Write what demonstrations are retrieved from, in case a strategy of the bundle retrieves."""
    source, folder = job.source, job.folder
    found = retrieving(source, bundle.strategies)
    if found is None:
        return
    write_json_lines(folder / names.POOL, list(EXAMPLES.dump_python(found.pool, mode="json")))
    write_retrieval(folder, found, model=source.model, dtype=source.dtype)


def _adapter(job: Writing, bundle: Bundle) -> int:
    """Write the adapter that any of the bundle's strategies needs, and return its rank; 0 without one."""
    assert bundle.base is not None
    for served in bundle.strategies:
        if served.weights is Weights.ADAPTER:
            measured = job.source.strategy(served.name)
            return copy_adapter(measured, job.folder / names.ADAPTER_FOLDER, base_name=bundle.base.name)
    return 0


def _worded(job: Writing, bundle: Bundle) -> Bundle:
    """Return the bundle with its answers; the chat template is written and found to word what was measured."""
    source, shown = job.source, bundle.winner.demonstrations
    wording = TokenizerWording(load_bundle_tokenizer(bundle, job.folder))
    template = Template(bundle.winner.told(source.task), wording)
    texts = [example.text for example in source.test][:VERIFIED]
    # of several named templates, transformers and vLLM take the default one
    own = wording.tokenizer.get_chat_template() if wording.chat_template is not None else None
    baked = bake(template, shown, own)
    verify_baked(baked, wording, template, [*texts, *hostile_texts(template)], shown)
    write_text(job.folder / names.CHAT_TEMPLATE, baked)
    bundle = replace(
        bundle,
        answers=template.written_labels(),
        end_token=wording.end_id,
        output=output_of(template, source.served),
    )
    if bundle.output.form != "label":
        return bundle
    prompts = [template.prompt(text, shown) for text in texts]
    return replace(bundle, answer_tokens=answer_tokens(wording, prompts, bundle.answers))


def _recorded(source: BundleSource, predictions: Sequence[Prediction]) -> tuple[Recorded, ...]:
    """Return the test examples with the winner's predictions, as they were measured of what is served."""
    abstains = source.abstaining.get(source.winner)
    calibration = abstains.calibration if abstains else None
    return tuple(
        Recorded(
            id=example.id,
            text=example.text,
            reference=example.reference,
            prediction=prediction.answer,
            probabilities=dict(prediction.probabilities),
            confidence=prediction.certainty_by(calibration) if calibration else None,
        )
        for example, prediction in zip(source.test, predictions, strict=True)
    )


def _labels(bundle: Bundle) -> dict[str, Any]:
    """Return what `labels.json` holds: labels (extraction: types) in prompt order, and how the model writes each.

    With what they mean, where the task says that.
    """
    task = bundle.task
    written = dict(zip(task.labels, bundle.answers, strict=True))
    described = {"descriptions": dict(task.label_meanings)} if task.descriptions else {}
    return {"task": task.name, "kind": task.kind.name, "labels": list(task.labels), "answers": written, **described}


def _request(bundle: Bundle, folder: Path, text: str) -> dict[str, Any]:
    """Return an example of what a client sends for `text` to stock vLLM, or to llmtl where there is no vLLM."""
    turns: list[Message] = [{"role": "user", "content": text}]
    if not bundle.on_vllm:
        return {"model": bundle.winner.model, "messages": turns}
    if not bundle.winner.retrieved:
        return constrained(bundle, turns)
    conversations = Conversations(bundle, load_bundle_tokenizer(bundle, folder), open_index(bundle, folder))
    worded = conversations.messages(bundle.winner, text)
    return constrained(bundle, worded) | {"chat_template_kwargs": {names.RAW: True}}


def _vllm_files(job: Writing, bundle: Bundle) -> None:
    """Write vLLM's configuration, once with the paths as of now and once for a working directory in the bundle."""
    start = "python -m vllm.entrypoints.openai.api_server --config"
    notes = {
        names.VLLM_CONFIG: f"Paths as of the export.  vllm serve --config {job.out / names.VLLM_CONFIG}\n"
        f"Or: {start} {job.out / names.VLLM_CONFIG}",
        names.VLLM_CONFIG_HERE: "For a working directory inside the bundle, wherever it is.\n"
        f"vllm serve --config {names.VLLM_CONFIG_HERE}, or {start} {names.VLLM_CONFIG_HERE}",
    }
    for name, note in notes.items():
        arguments = vllm_arguments(bundle, job.out, relative=name == names.VLLM_CONFIG_HERE)
        write_text(job.folder / name, vllm_yaml(arguments, note=note))
