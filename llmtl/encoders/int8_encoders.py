"""Encoders in int8 for a CPU: what `SentenceEncoder` and `Network` were, for reading only.

    encoder.onnx   the model (`llmtl.encoders.onnx_int8`)
    int8.json      what its vectors or scores are
    and the tokenizer's own files

Not covered: tuning one, GPUs.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llmtl.checkpoints.broken_files import ReadByLibraries
from llmtl.encoders.network import Network, Scored, Scores, Scoring, load_tokenizer
from llmtl.encoders.onnx_int8 import ONNX_FILE, Int8Forms, OnnxSession, Rounded
from llmtl.encoders.sentence import SentenceEncoder
from llmtl.encoders.window_vectors import TokenWindow, VectorForm, Vectors, WindowVectors
from llmtl.encoders.windows import Windows, cut
from llmtl.errors import RunError
from llmtl.json_and_yaml import parse_json
from llmtl.progress import Advance, unwatched
from llmtl.quiet import quiet

SETTINGS = "int8.json"
_AT_ONCE = 16
"""Windows between two steps of a progress bar."""


class Int8SentenceEncoder(WindowVectors):
    """A sentence encoder in int8."""

    def __init__(self, session: OnnxSession, tokenizer: Any, form: VectorForm) -> None:
        super().__init__(tokenizer, form)
        self._session = session

    @classmethod
    def read(cls, folder: Path) -> "Int8SentenceEncoder":
        """Read what `write_sentence_encoder` wrote; raises `RunError` or `ModelError` where it is something else."""
        from transformers import AutoTokenizer

        form = VectorForm(**_settings(folder))
        with quiet(), ReadByLibraries(lambda why: RunError(f"The tokenizer in '{folder}' cannot be read ({why}).")):
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        return cls(OnnxSession.read(folder), tokenizer, form)

    def _batches(self, windows: Sequence[TokenWindow]) -> Iterator[tuple[Sequence[TokenWindow], Vectors]]:
        """Yield a few windows at a time, each computed alone."""
        for start in range(0, len(windows), _AT_ONCE):
            batch = windows[start : start + _AT_ONCE]
            yield batch, np.stack(self._session.run([window.features["input_ids"] for window in batch]))


def write_sentence_encoder(encoder: SentenceEncoder, folder: Path, texts: Sequence[str] = ()) -> Iterator[Rounded]:
    """Write a sentence encoder to `folder` in int8, in one form after the other, each nearer to float32 and slower.

    On the `texts` it is judged what stays in float32. Raises `ModelError` for one that cannot be written so.
    """
    import torch

    class Reading(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder.model

        def forward(self, ids: Any) -> Any:
            first, *rest = self.encoder
            features = first({"input_ids": ids})  # without a mask: a row has no padding
            features["attention_mask"] = torch.ones_like(ids)
            for module in rest:
                features = module(features)
            return features["sentence_embedding"]

    forms = _forms(Reading(), encoder.tokenizer, texts, longest=encoder.context_length)
    _write_settings(folder, asdict(encoder.form))
    encoder.tokenizer.save_pretrained(folder)
    yield from forms.written(folder)


@dataclass(frozen=True)
class Int8Network:
    """An encoder with a head, in int8."""

    session: OnnxSession
    tokenizer: Any
    scoring: Scoring

    @classmethod
    def read(cls, folder: Path) -> "Int8Network":
        """Read what `write_network` wrote; raises `RunError` or `ModelError` where it is something else."""
        kept = _settings(folder)
        scoring = Scoring(Scored(kept["scored"]), int(kept["outputs"]), int(kept["window"]))
        return cls(OnnxSession.read(folder), load_tokenizer(folder), scoring)

    def cut(self, texts: Sequence[str]) -> list[Windows]:
        """Cut texts into windows of the scoring's size."""
        return cut(texts, self.tokenizer, window=self.scoring.window)

    def scores(self, texts: Sequence[Windows], *, advance: Advance = unwatched) -> list[list[Scores]]:
        """Compute the scores of each window of each text."""
        found: list[list[Scores]] = []
        for start in range(0, len(texts), _AT_ONCE):
            part = texts[start : start + _AT_ONCE]
            rows = iter(self.session.run([window.ids for windows in part for window in windows]))
            found += [[self._meant(next(rows)) for _ in windows] for windows in part]
            advance(len(part))
        return found

    def _meant(self, scores: Scores) -> Scores:
        """Take the mean of the tokens' scores where the text gets it."""
        return np.asarray(scores.mean(axis=0)) if self.scoring.scored is Scored.MEAN else scores


def write_network(network: Network, folder: Path, texts: Sequence[str] = ()) -> Iterator[Rounded]:
    """Write an encoder with its head to `folder` in int8, as `write_sentence_encoder` does."""
    import torch

    class Reading(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = network.model

        def forward(self, ids: Any) -> Any:
            return self.model(input_ids=ids).logits

    scoring = network.scoring
    forms = _forms(Reading(), network.tokenizer, texts, longest=scoring.window)
    _write_settings(folder, asdict(scoring))
    network.tokenizer.save_pretrained(folder)
    yield from forms.written(folder)


def _forms(module: Any, tokenizer: Any, texts: Sequence[str], *, longest: int) -> Int8Forms:
    """Take a module that reads what the tokenizer makes of texts, of which no token of the sample is a special one."""
    sample = tokenizer("a b c d e f g h", add_special_tokens=False)["input_ids"]
    rows = tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"] if texts else []
    return Int8Forms.of(module, sample=sample, longest=longest, rows=[row for row in rows if row])


def _write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def _settings(folder: Path) -> Mapping[str, Any]:
    """Read the settings; raises `RunError` where they, or the model, are missing."""
    for name in (ONNX_FILE, SETTINGS):
        if not (folder / name).is_file():
            raise RunError(f"The folder of the encoder in int8 lacks '{name}'; export the bundle again.")
    settings: Mapping[str, Any] = parse_json((folder / SETTINGS).read_bytes())
    return settings
