"""Measure a pocket model on generated tasks that it has not seen: copying, zero-shot, few-shot.

Probe messages use sentence frames that are never trained on, and the words of a query never occur among its
demonstrations. The lexicon itself is that of the training. Labels are told apart by their first token, so these
numbers have no intervals and are a gauge for the training log, not the label-trie decoding of the library.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from llmtl.pocket.documents import Encoder, turn_ids
from llmtl.pocket.lexicon import Concept, load_frames, load_lexicon
from llmtl.pocket.messages import MessageStyle, WordSupply, message
from llmtl.pocket.tasks import opaque_labels
from llmtl.pocket.vocabulary import ASSISTANT, BOS, END, SYSTEM, USER

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_STYLES = {
    bare: MessageStyle(bare=float(bare), plain=0.5, repeat=0.0, noise=0.0, held_out=True) for bare in (False, True)
}


@dataclass(frozen=True)
class ProbeQuestion:
    """A prompt, the first tokens of its labels, and which of them is right."""

    ids: list[int]
    candidates: list[int]
    answer: int


@dataclass(frozen=True)
class Probe:
    """A kind of task: `n_classes` classes, `shots` demonstrations per class, and how labels are named."""

    name: str
    n_classes: int
    shots: int
    naming: str
    bare: bool = False

    @property
    def chance(self) -> float:
        """The accuracy of guessing: 1 / `n_classes`."""
        return 1 / self.n_classes


PROBES = (
    Probe("bare words, zero-shot, 4 natural labels", 4, 0, "natural", bare=True),
    Probe("bare words, 4 shots, 4 opaque labels", 4, 4, "opaque", bare=True),
    Probe("zero-shot, 4 natural labels", 4, 0, "natural"),
    Probe("zero-shot, 8 natural labels", 8, 0, "natural"),
    Probe("1 shot, 4 opaque labels", 4, 1, "opaque"),
    Probe("4 shots, 4 opaque labels", 4, 4, "opaque"),
    Probe("4 shots, 8 opaque labels", 8, 4, "opaque"),
    Probe("0 shots, 4 convention labels", 4, 0, "convention"),
    Probe("4 shots, 4 convention labels", 4, 4, "convention"),
)


def _labels(probe: Probe, concepts: list[Concept], rng: Random) -> list[str]:
    if probe.naming == "opaque":
        return opaque_labels(probe.n_classes, rng)
    return [concept.names[0] for concept in concepts[: probe.n_classes]]


def draw_question(probe: Probe, encoder: Encoder, rng: Random) -> ProbeQuestion:
    """Draw a question whose labels differ in their first token.

    In a convention task each class has two concepts and is named after the first; queries come from the second.
    """
    n = probe.n_classes
    while True:
        concepts = rng.sample(load_lexicon().topics, 2 * n if probe.naming == "convention" else n)
        labels = _labels(probe, concepts, rng)
        candidates = [encoder.encode(label)[0] for label in labels]
        if len(set(candidates)) == n:
            break
    supply = WordSupply(rng)
    order = list(range(n))
    shown = order[:]
    rng.shuffle(shown)
    system = f"{rng.choice(load_frames()['instruction'])}\nLabels: {', '.join(labels[i] for i in shown)}"
    s = encoder.special
    ids = [s[BOS], s[SYSTEM], *encoder.encode(system), s[END]]
    for shot in range(probe.shots):
        rng.shuffle(order)
        for i in order:
            concept = concepts[i + n] if probe.naming == "convention" and shot % 2 == 0 else concepts[i]
            asked, answered = turn_ids(encoder, message(concept, supply, _STYLES[probe.bare]), labels[i])
            ids += asked + answered
    answer = rng.randrange(n)
    concept = concepts[answer + n] if probe.naming == "convention" else concepts[answer]
    ids += [s[USER], *encoder.encode(message(concept, supply, _STYLES[probe.bare])), s[END], s[ASSISTANT]]
    return ProbeQuestion(ids, candidates, answer)


def accuracy(model: "PreTrainedModel", questions: list[ProbeQuestion], *, batch_tokens: int = 16_384) -> float:
    """Measure the share of questions whose right label has the likeliest first token."""
    import torch

    correct = 0
    ordered = sorted(questions, key=lambda q: len(q.ids))
    while ordered:
        size = max(1, batch_tokens // len(ordered[min(len(ordered), 64) - 1].ids))
        part, ordered = ordered[: min(size, 64)], ordered[min(size, 64) :]
        width = max(len(q.ids) for q in part)
        ids = torch.zeros(len(part), width, dtype=torch.long)
        for row, question in enumerate(part):
            ids[row, : len(question.ids)] = torch.tensor(question.ids)
        logits = last_logits(model, ids, torch.tensor([len(q.ids) - 1 for q in part]))
        for row, question in enumerate(part):
            correct += int(logits[row, question.candidates].argmax()) == question.answer
    return correct / len(questions)


def last_logits(model: "PreTrainedModel", ids: "torch.Tensor", last: "torch.Tensor") -> "torch.Tensor":
    """Compute the logits after the token at `last` of each right-padded row; shape (rows, vocabulary)."""
    import torch

    device = next(model.parameters()).device
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16):
        hidden = model.base_model(input_ids=ids.to(device), use_cache=False).last_hidden_state
        logits = model.lm_head(hidden[torch.arange(len(ids)), last.to(device)])
    return torch.as_tensor(logits.float().cpu())


def copying(model: "PreTrainedModel", encoder: Encoder, seed: int, *, n: int = 64, length: int = 24) -> float:
    """Measure how many tokens of a random sequence's second copy come out right; chance is 1 / vocabulary."""
    rng = Random(f"copy/{seed}")
    questions = []
    for _ in range(n):
        copy = [rng.randrange(6, encoder.size) for _ in range(length)]
        cut = rng.randrange(1, length)
        questions.append(
            ProbeQuestion([encoder.special[BOS], *copy, *copy[:cut]], list(range(encoder.size)), copy[cut])
        )
    return accuracy(model, questions)


def measure(
    model: "PreTrainedModel",
    encoder: Encoder,
    *,
    seed: int,
    n: int,
    done: Callable[[], None] | None = None,
) -> dict[str, float]:
    """Measure the accuracy of every probe over `n` questions each, and of copying."""
    model.train(False)
    scores = {"copying": copying(model, encoder, seed)}
    for probe in PROBES:
        rng = Random(f"{probe.name}/{seed}")
        scores[probe.name] = round(accuracy(model, [draw_question(probe, encoder, rng) for _ in range(n)]), 4)
        if done:
            done()
    model.train()
    return scores
