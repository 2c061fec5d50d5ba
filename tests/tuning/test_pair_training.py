"""The loss on pairs against plain log-probabilities, and what of the model is trained."""

from typing import get_args

import pytest
import torch
from torch.nn.functional import logsigmoid

from llmtl.engines.transformers.loading import load_tokenizer
from llmtl.task import Preference
from llmtl.tuning.answers_only import answers_only
from llmtl.tuning.config import LinearLayer, PreferenceTrainingConfig
from llmtl.tuning.needed_memory import TrainedPart
from llmtl.tuning.pair_training import GoneOnWith, PreferenceJob, tokenize_pairs
from llmtl.tuning.tokenized import IGNORED
from llmtl.tuning.trained_weights import load_plain
from llmtl.tuning.training import memory_needed, train
from tests.support.training_jobs import Heard

PAIRS = (Preference("I lost my card", "card lost", "billing"), Preference("charged twice", "billing", "card arrival"))


def test_an_answer_that_was_cut_off_has_no_end(template, tokenizer):
    whole, cut = (
        tokenize_pairs([Preference("x", "card lost", "billing", ended=ended)], template, tokenizer, max_length=512)[0]
        for ended in (True, False)
    )
    assert whole.chosen == cut.chosen
    assert whole.rejected.input_ids[: len(cut.rejected.input_ids)] == cut.rejected.input_ids
    assert len(whole.rejected.input_ids) == len(cut.rejected.input_ids) + 1
    assert tokenize_pairs(PAIRS, template, tokenizer, max_length=5) == ()


def on_pairs(supervised, pairs, folder, **choices):
    """Make a job that goes on with what `supervised` left."""
    return PreferenceJob(
        checkpoint=supervised.checkpoint,
        tokenizer=supervised.tokenizer,
        train=tuple(each.chosen for each in pairs),
        rejected=tuple(each.rejected for each in pairs),
        dev=(),
        config=PreferenceTrainingConfig(dropout=0.0, **choices).on_pairs(),
        weights=GoneOnWith.at(supervised.folder),
        learning_rate=1e-3,
        folder=folder,
        seed=0,
        deadline=None,
        progress=Heard(),
        base_name="tiny",
    )


@pytest.mark.parametrize("chosen_weight", [0.0, 0.5])
def test_the_loss_is_that_of_plain_log_probabilities(make_job, tiny_llama, source, template, tmp_path, chosen_weight):
    tokenizer = load_tokenizer(source)
    supervised = make_job("supervised", max_epochs=1, batch_size=8)
    train(supervised)
    pairs = tokenize_pairs(PAIRS, template, tokenizer, max_length=512)
    job = on_pairs(supervised, pairs, tmp_path / "pairs", beta=0.3, chosen_weight=chosen_weight)
    with answers_only():
        trainer = job.trainer(job.weights.load(tiny_llama, device="cpu"), 2, 1, callbacks=[])
        model = trainer.model
        trained = {name for name, each in model.named_parameters() if each.requires_grad}
        assert trained
        assert all(".default." in name for name in trained)
        reference = [logprob(model.get_base_model(), each) for pair in pairs for each in (pair.chosen, pair.rejected)]
        with torch.no_grad():
            for name, each in model.named_parameters():
                if name in trained:
                    each.add_(0.02 * torch.randn(each.shape, generator=torch.Generator().manual_seed(len(name))))
        batch = trainer.data_collator([trainer.train_dataset[at] for at in range(2)])
        found = trainer.compute_loss(model, batch)
    policy = [logprob(model.get_base_model(), each) for pair in pairs for each in (pair.chosen, pair.rejected)]
    moved = [now - before for now, before in zip(policy, reference, strict=True)]
    expected = -torch.stack([logsigmoid(0.3 * (moved[0] - moved[1])), logsigmoid(0.3 * (moved[2] - moved[3]))]).mean()
    tokens = sum(label != IGNORED for pair in pairs for label in pair.chosen.labels)
    expected = expected - chosen_weight * (policy[0] + policy[2]) / tokens
    assert float(found.detach()) == pytest.approx(float(expected), rel=1e-4)
    assert abs(float(expected) - 0.6931) > 1e-3


def logprob(model, example):
    """Sum the log-probabilities of the answer's tokens, from the logits of a plain call."""
    ids = torch.tensor([example.input_ids])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
    own = [at for at, label in enumerate(example.labels) if label != IGNORED]
    return sum(logits[at - 1, example.input_ids[at]] for at in own)


def test_both_answers_and_the_copy_of_the_adapter_are_in_the_memory_that_is_forecast(make_job, template, tmp_path):
    supervised = make_job("supervised", max_epochs=1, batch_size=8, rank=4)
    train(supervised)
    pairs = tokenize_pairs(PAIRS, template, supervised.tokenizer, max_length=512)
    job = on_pairs(supervised, pairs, tmp_path / "pairs")
    longest = max(len(each.input_ids) for pair in pairs for each in (pair.chosen, pair.rejected))
    load = job.load(2, None, recomputed=False)
    assert (load.rows, load.width) == (4, longest)
    assert job.weights.trained == TrainedPart(rank=4, targets=tuple(sorted(get_args(LinearLayer))), copies=1)
    assert memory_needed(job, 2).activations > memory_needed(job, 1).activations


def test_plain_weights_stay(tiny_llama, make_job):
    supervised = make_job("supervised", max_epochs=1, batch_size=8)
    train(supervised)
    tuned = GoneOnWith.at(supervised.folder).load(tiny_llama, device="cpu")
    plain = dict(load_plain(tiny_llama, device="cpu", dtype=torch.float32).named_parameters())
    frozen = {name: each for name, each in tuned.named_parameters() if not each.requires_grad}
    assert len(frozen) == len(plain)
