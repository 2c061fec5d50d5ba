"""Answers as tokens after a prompt, for the kinds of tokenizer that LLaMA and Mistral checkpoints bring."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from llmtl.engines.tokens import AnswerTries, continuations, encode, shared_length
from llmtl.errors import ModelError

TEXT = ["Label: card lost. Label: card. The label is: card arrival, refund :card lost"] * 4
SPECIAL = ["<unk>", "<s>", "</s>"]


def trained(core, alphabet=()):
    trainer = trainers.BpeTrainer(
        vocab_size=380, special_tokens=SPECIAL, initial_alphabet=list(alphabet), show_progress=False
    )
    core.train_from_iterator(TEXT, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


@pytest.fixture(scope="module")
def merging():
    """Return a byte-level BPE tokenizer that merges across words: nothing separates a prompt from its answer."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    return trained(core, pre_tokenizers.ByteLevel.alphabet())


@pytest.fixture(scope="module")
def sentencepiece():
    """Return a tokenizer like LLaMA 2's: a dummy space before the text, spaces as U+2581, no pre-tokenizer."""
    core = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(content=" ", left=1, right=0)]
    )
    return trained(core, "▁abcdefghijklmnopqrstuvwxyzLT:.,")


@pytest.mark.parametrize("name", ["merging", "sentencepiece"])
@pytest.mark.parametrize("prompt", ["<s>The label is:", "Label:", "<s>Label: card lost. Label:"])
@pytest.mark.parametrize("answer", [" card lost", "card lost", " card", "refund"])
def test_prompt_and_answer_read_as_one_text(request, name, prompt, answer):
    tokenizer = request.getfixturevalue(name)
    [head] = encode(tokenizer, [prompt])
    [tail] = continuations(tokenizer, prompt, [answer])
    assert tail
    assert tokenizer.decode([*head, *tail]) == tokenizer.decode(head) + answer


@pytest.mark.parametrize("name", ["merging", "sentencepiece"])
def test_after_a_special_token_the_answer_is_what_the_tokenizer_makes_of_the_whole(request, name):
    tokenizer = request.getfixturevalue(name)
    [tail] = continuations(tokenizer, "Label:</s>", ["card lost"])
    assert encode(tokenizer, ["Label:</s>", "Label:</s>card lost"])[1] == encode(tokenizer, ["Label:</s>"])[0] + tail


def test_a_merge_over_the_boundary_leaves_the_prompt_as_it_is(merging):
    [head] = encode(merging, ["The label is:"])
    [whole] = encode(merging, ["The label is: card"])
    assert whole[: len(head)] != head  # this tokenizer does merge here
    [tail] = continuations(merging, "The label is:", [" card"])
    assert merging.decode(tail) == " card"
    assert tail == encode(merging, [" card"])[0]


def test_no_dummy_space_slips_in_before_an_answer(sentencepiece):
    [tail] = continuations(sentencepiece, "<s>Label:", ["card"])
    assert not sentencepiece.convert_ids_to_tokens(tail)[0].startswith("▁")
    [spaced] = continuations(sentencepiece, "<s>Label:", [" card"])
    assert sentencepiece.convert_ids_to_tokens(spaced)[0].startswith("▁")


def test_an_answer_the_tokenizer_cannot_write_is_an_error(sentencepiece):
    with pytest.raises(ModelError, match="cannot spell the label 'Ж'"):
        continuations(sentencepiece, "Label:", ["card", "Ж"])


def test_special_tokens_in_the_text_are_read_and_none_is_added(merging):
    assert encode(merging, ["<s>", "</s>"]) == [[merging.bos_token_id], [merging.eos_token_id]]
    assert encode(merging, []) == []


def test_prompts_that_end_alike_share_a_trie(merging):
    tries = AnswerTries(merging, merging.eos_token_id)
    answers = [" card", " card lost", " refund"]

    def after(prompt):
        return tries.after(prompt, encode(merging, [prompt])[0], answers)

    assert after("<s>One.\nLabel:") is after("<s>Two, three.\nLabel:")
    assert after("<s>One.\nLabel:</s>") is after("<s>Two, three.\nLabel:</s>")
    assert after("<s>The label is:") is after("<s>Label")  # different ends, but the same tokens follow
    longer = tries.after("<s>x</s>", encode(merging, ["<s>x</s>"])[0], answers[:2])
    assert longer is not after("<s>x</s>")


def test_shared_length():
    assert shared_length([(1, 2, 3), (1, 2, 4), (1, 2)]) == 2
    assert shared_length([(1, 2, 3)]) == 3
    assert shared_length([(1,), (2,)]) == 0
    assert shared_length([(), (1, 2)]) == 0
    assert shared_length([]) == 0
