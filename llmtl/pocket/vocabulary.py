"""Train and load the tokenizer of the pocket models: byte-level BPE trained on the corpus.

Byte pair encoding as in Sennrich et al. (2016), over bytes as in Radford et al. (2019).

Not covered: languages other than English, which fall back to bytes.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

BOS, END, PAD, SYSTEM, USER, ASSISTANT = (
    "<|begin|>",
    "<|end|>",
    "<|pad|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
)
SPECIAL_TOKENS = (PAD, BOS, END, SYSTEM, USER, ASSISTANT)
VOCABULARY_SIZE = 6144
CHAT_TEMPLATE = (
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{{- '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"
)


def chat(messages: Iterable[tuple[str, str]]) -> str:
    """Write (role, content) messages exactly as `CHAT_TEMPLATE` renders them."""
    return BOS + "".join(f"<|{role}|>{content}{END}" for role, content in messages)


def train_tokenizer(texts: Iterable[str], *, vocabulary_size: int = VOCABULARY_SIZE) -> "Tokenizer":
    """Train a byte-level BPE tokenizer of at most `vocabulary_size` tokens, special tokens first."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def special_ids(tokenizer: "Tokenizer") -> dict[str, int]:
    """Look up the id of every special token. A tokenizer that lacks one raises ValueError."""
    ids = {token: tokenizer.token_to_id(token) for token in SPECIAL_TOKENS}
    missing = [token for token, found in ids.items() if found is None]
    if missing:
        raise ValueError(f"The tokenizer has no {', '.join(missing)}; take one that llmtl.pocket trained.")
    return {token: found for token, found in ids.items() if found is not None}


def wrap_tokenizer(tokenizer: "Tokenizer", *, max_length: int) -> "PreTrainedTokenizerFast":
    """Wrap the tokenizer as transformers loads it, with special tokens and chat template set."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        chat_template=CHAT_TEMPLATE,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def load_tokenizer(folder: Path) -> "Tokenizer":
    """Load the bare tokenizer of a checkpoint folder."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / "tokenizer.json"))
