"""An encoder with a head for a task: made from a checkpoint or from random weights, run, written and read again.

The heads are transformers' own: one for the text or one for every token. A sentence encoder that takes the mean of its
tokens' states gets the second also where the text as a whole is judged: the mean of linear scores is the linear score
of the mean. Files are safetensors and JSON; no code from a checkpoint is run. Not covered: training
(`llmtl.encoders.fine_tuning`), what the scores mean (the strategies).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from llmtl.checkpoints.broken_files import ReadByLibraries
from llmtl.encoders.checkpoint import check_words
from llmtl.encoders.windows import Window, Windows, cut
from llmtl.errors import ModelError, RunError
from llmtl.json_and_yaml import parse_json
from llmtl.progress import Advance, unwatched

WEIGHTS, SCORING = "model.safetensors", "scoring.json"
TOKENS_AT_ONCE = 16_384
"""Tokens, padding included, in a batch of predicting: bounds its memory."""
CHUNK = 256
"""Texts that are cut into windows at once."""

Scores = NDArray[np.float32]


class Scored(StrEnum):
    """What gets scores."""

    TEXT = "text"  # by the architecture's own head
    MEAN = "mean"  # of all tokens of a text
    TOKENS = "tokens"


@dataclass(frozen=True)
class Scoring:
    """What is scored, by how many scores, and how many tokens are read at once."""

    scored: Scored
    outputs: int
    window: int


@dataclass(frozen=True)
class Network:
    """A model of transformers, with its tokenizer."""

    model: Any
    tokenizer: Any
    scoring: Scoring
    device: str

    @classmethod
    def begin(cls, folder: Path, scoring: Scoring, *, device: str, pretrained: bool = True) -> "Network":
        """Put a fresh head on the checkpoint in `folder`, or make the same architecture with random weights.

        The caller seeds torch. Raises `ModelError` in one line for an architecture without such a head, and for weights
        that are broken, incomplete or not those of the configuration.
        """
        kind = _auto(scoring.scored)
        config = AutoConfig.from_pretrained(folder, num_labels=scoring.outputs, trust_remote_code=False)
        if type(config) not in kind._model_mapping:
            what = "words" if scoring.scored is Scored.TOKENS else "texts"
            raise ModelError(
                f"transformers has no head for {what} on models of type '{config.model_type}'; name a BERT-like "
                "encoder, such as minilm or answerdotai/ModernBERT-base."
            )
        if pretrained:
            model = _pretrained(kind, folder, config)
        else:
            model = kind.from_config(config, trust_remote_code=False).float()
        begun = cls(model.to(device), load_tokenizer(folder), scoring, device)
        if pretrained:
            begun._try(folder)
        return begun

    def _try(self, folder: Path) -> None:
        """Read a word; raise `ModelError` where parts that were loaded do not fit each other."""
        check_words(self.tokenizer, self.model, str(folder))
        try:
            sound = all(np.isfinite(each).all() for [each] in self.scores(self.cut(["a word"])))
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            raise ModelError(
                f"The encoder in '{folder}' cannot read a text: its configuration, tokenizer and weights do not "
                "fit each other; download it again, or take another."
            ) from error
        if not sound:
            raise ModelError(f"The weights of the encoder in '{folder}' give no numbers; download it again.")

    @classmethod
    def read(cls, folder: Path, *, device: str) -> "Network":
        """Read what `write` wrote; raises `RunError` where something is missing."""
        for name in (WEIGHTS, SCORING, "config.json"):
            if not (folder / name).is_file():
                raise RunError(
                    f"The folder of the tuned encoder lacks '{name}'; run the recipe again with a new --out."
                )
        kept = parse_json((folder / SCORING).read_bytes())
        scoring = Scoring(Scored(kept["scored"]), int(kept["outputs"]), int(kept["window"]))
        model = _auto(scoring.scored).from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
        return cls(model.to(device).eval(), load_tokenizer(folder), scoring, device)

    def write(self, folder: Path) -> None:
        """Write weights, settings and tokenizer to `folder`."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        (folder / SCORING).write_text(json.dumps(asdict(self.scoring), indent=1) + "\n", encoding="utf-8")

    def cut(self, texts: Sequence[str]) -> list[Windows]:
        """Cut texts into windows of the scoring's size."""
        return cut(texts, self.tokenizer, window=self.scoring.window)

    def run(self, windows: Sequence[Window]) -> list[Any]:
        """Compute a tensor of scores for each window: (K,), or (T, K) where tokens are scored."""
        found: dict[int, Any] = {}
        for part in self._parts(windows):
            found |= dict(zip(part, self._run([windows[at] for at in part]), strict=True))
        return [found[at] for at in range(len(windows))]

    def scores(self, texts: Sequence[Windows], *, advance: Advance = unwatched) -> list[list[Scores]]:
        """Compute the scores of each window of each text, in batches of similar length."""
        all_windows = [window for windows in texts for window in windows]
        found: list[Any] = [None] * len(all_windows)
        left = [len(windows) for windows in texts]
        owner = [text for text, windows in enumerate(texts) for _ in windows]
        self.model.eval()
        for batch in _batches([len(window) for window in all_windows]):
            with torch.inference_mode():
                results = self.run([all_windows[at] for at in batch])
            for at, result in zip(batch, results, strict=True):
                found[at] = result.float().cpu().numpy()
                left[owner[at]] -= 1
            advance(sum(left[text] == 0 for text in {owner[at] for at in batch}))
        rows = iter(found)
        return [[next(rows) for _ in windows] for windows in texts]

    def _parts(self, windows: Sequence[Window]) -> list[list[int]]:
        """Group windows that are computed alike: BigBird reads short ones in full, alone and in company."""
        if self.model.config.model_type != "big_bird":
            return [list(range(len(windows)))]
        short = [at for at, window in enumerate(windows) if len(window) <= self._most_in_full()]
        long = [at for at, window in enumerate(windows) if len(window) > self._most_in_full()]
        return [part for part in (short, long) if part]

    def _run(self, windows: Sequence[Window]) -> list[Any]:
        """Compute windows in one batch."""
        longest = max(len(window) for window in windows)
        pad = self.tokenizer.pad_token_id
        ids = torch.full((len(windows), longest), pad, dtype=torch.long)
        mask = torch.zeros((len(windows), longest), dtype=torch.long)
        for row, window in enumerate(windows):
            ids[row, : len(window)] = torch.tensor(window.ids)
            mask[row, : len(window)] = 1
        if self.model.config.model_type == "big_bird":
            self._read_in_full(longest)
        ids, mask = ids.to(self.device), mask.to(self.device)
        scores = self.model(input_ids=ids, attention_mask=mask).logits
        if self.scoring.scored is Scored.TEXT:
            return list(scores)
        rows = [scores[row, : len(window)] for row, window in enumerate(windows)]  # (T, K) each, padding cut off
        return [row.mean(dim=0) for row in rows] if self.scoring.scored is Scored.MEAN else rows

    def _read_in_full(self, length: int) -> None:
        """Let BigBird read all windows of a batch in full, or all sparsely; by itself it never goes back to sparse."""
        wanted = "original_full" if length <= self._most_in_full() else self.model.config.attention_type
        self.model.bert.set_attention_type(wanted)

    def _most_in_full(self) -> int:
        """Count the tokens up to which BigBird refuses sparse attention (transformers, modeling_big_bird.py)."""
        settings = self.model.config
        return int((5 + 2 * settings.num_random_blocks) * settings.block_size)


def load_tokenizer(folder: Path, *, pads: bool = True) -> Any:
    """Load a tokenizer that gives the places of its tokens; unless it `pads`, that is done with its last special token.

    Those of RoBERTa's family tell a word at the beginning from the same one later, by the space before it; they are set
    to see one there, too (transformers, `RobertaTokenizerFast`: "add_prefix_space"). Raises `ModelError` for one that
    cannot say where its tokens stand.
    """
    with ReadByLibraries(
        lambda why: ModelError(f"The tokenizer in '{folder}' cannot be read ({why}); download the encoder again.")
    ):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        if getattr(tokenizer, "add_prefix_space", None) is False:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, add_prefix_space=True)
    if tokenizer.pad_token_id is None and not pads:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or tokenizer.bos_token
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        lacks = "a padding token" if tokenizer.is_fast else "a 'tokenizer.json', which says where tokens stand"
        raise ModelError(f"The encoder's tokenizer lacks {lacks}; save it once with a current version of transformers.")
    return tokenizer


def _pretrained(kind: Any, folder: Path, config: Any) -> Any:
    """Load a checkpoint with a fresh head; raise `ModelError` where anything but the head would be random."""
    try:
        model, told = kind.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # the head of another task is replaced
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AssertionError, SafetensorError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"The encoder in '{folder}' cannot be loaded ({lines[0].rstrip('.')}); download it again, or take another."
        ) from error
    odd = [each if isinstance(each, str) else each[0] for each in (*told["missing_keys"], *told["mismatched_keys"])]
    own = sorted(key for key in odd if key.startswith(f"{model.base_model_prefix}.") and "pooler" not in key)
    if own:
        raise ModelError(
            f"The encoder in '{folder}' lacks weights of the sizes that its config.json asks for, such as '{own[0]}'; "
            "download it again."
        )
    return model


def over_windows(windows: Windows, scores: Sequence[Scores]) -> Scores:
    """Average the scores of a text's windows, each counting by its tokens."""
    return np.asarray(np.average(np.stack(scores), axis=0, weights=[len(window) for window in windows]), np.float32)


def _auto(head: Scored) -> Any:
    return AutoModelForSequenceClassification if head is Scored.TEXT else AutoModelForTokenClassification


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Group the positions of windows of similar length, the longest first, so that memory fails at once or never."""
    batches: list[list[int]] = []
    for at in sorted(range(len(lengths)), key=lambda at: -lengths[at]):
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= TOKENS_AT_ONCE and len(batches[-1]) < CHUNK:
            batches[-1].append(at)
        else:
            batches.append([at])
    return batches
