"""Every architecture as a tiny random model: tuned for a few steps, written, read, alike whatever stands beside a text.

Not covered: whether anything is learned (`tests/strategies/test_encoder.py`).
"""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from llmtl.encoders import fine_tuning
from llmtl.encoders.fine_tuning import TrainingText, TuningPlan, groups, train
from llmtl.encoders.network import Network, Scored, Scoring, over_windows
from llmtl.errors import ModelError, RunError
from llmtl.progress import Silent
from llmtl.quiet import own_randomness, quiet
from tests.support.encoders import save_byte_tokenizer, save_encoder

ARCHITECTURES = {
    "bert": {},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64},
    "roberta": {"max_position_embeddings": 66, "type_vocab_size": 1},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 16},
    "deberta-v2": {"relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"]},
    "longformer": {"attention_window": [8, 8], "max_position_embeddings": 130},
    "big_bird": {"block_size": 4, "num_random_blocks": 1, "max_position_embeddings": 128},
}
LONG = ("longformer", "big_bird")
PLAN = TuningPlan(
    learning_rate=1e-3,
    max_epochs=2,
    batch_size=4,
    warmup_fraction=0.1,
    weight_decay=0.01,
    layer_decay=0.9,
    patience=3,
    seed=1,
)
TEXTS = ["i lost my card", "refund", "where is a parcel " * 12, "password not arrived"]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def checkpoint(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders") / request.param
    save_encoder(folder, request.param, **ARCHITECTURES[request.param])
    if request.param == "roberta":
        save_byte_tokenizer(folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 400, "pad_token_id": 1}))
    return folder


def begun(folder, scored, outputs=3, window=60, **more):
    with quiet(), own_randomness():
        torch.manual_seed(0)
        return Network.begin(folder, Scoring(scored, outputs, window), device="cpu", **more)


def trained(network, rows):
    with quiet(), own_randomness():
        return train(network, rows, PLAN, judge=None, progress=Silent())


@pytest.mark.parametrize("scored", [Scored.TEXT, Scored.TOKENS])
def test_each_architecture_is_tuned_written_and_read_and_reads_texts_alike_in_any_company(checkpoint, scored, tmp_path):
    random = checkpoint.name == "roberta"  # its tokenizer was changed, and so the weights do not fit
    network = begun(checkpoint, scored, window=100 if checkpoint.name in LONG else 60, pretrained=not random)
    windows = network.cut(TEXTS)
    if scored is Scored.TEXT:
        rows = [TrainingText(each, at % 3) for at, each in enumerate(windows)]
    else:
        rows = [TrainingText(each, tuple(tuple([1] * len(window)) for window in each)) for each in windows]
    before = {name: each.clone() for name, each in network.model.state_dict().items()}
    trained(network, rows)
    assert any(not torch.equal(before[name], each) for name, each in network.model.state_dict().items())
    network.write(tmp_path)
    with quiet():
        again = Network.read(tmp_path, device="cpu")
    together, alone = network.scores(windows), [again.scores([each])[0] for each in windows]
    for one, other in zip(together, alone, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            assert np.isfinite(mine).all()
            np.testing.assert_allclose(mine, theirs, atol=2e-4)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".safetensors", ".txt", ".jinja"}


def test_the_mean_of_tokens_scores_is_the_score_of_their_mean_state(tiny_encoder):
    network = begun(tiny_encoder, Scored.MEAN)
    network.model.eval()
    [windows] = network.cut(["i lost my card"])
    with torch.inference_mode():
        states = network.model.bert(input_ids=torch.tensor([windows[0].ids])).last_hidden_state[0]
        expected = network.model.classifier(states.mean(dim=0))
    np.testing.assert_allclose(network.scores([windows])[0][0], expected.numpy(), atol=1e-5)


def test_windows_count_by_their_tokens(tiny_encoder):
    network = begun(tiny_encoder, Scored.TEXT, window=16)
    [windows] = network.cut(["i lost my card " * 6])
    scores = network.scores([windows])[0]
    lengths = [len(window) for window in windows]
    expected = sum(length * each for length, each in zip(lengths, scores, strict=True)) / sum(lengths)
    np.testing.assert_allclose(over_windows(windows, scores), expected, rtol=1e-5)


def test_random_weights_are_other_weights_of_the_same_shapes(tiny_encoder):
    tuned, random = begun(tiny_encoder, Scored.TEXT), begun(tiny_encoder, Scored.TEXT, pretrained=False)
    shapes = [{name: each.shape for name, each in net.model.state_dict().items()} for net in (tuned, random)]
    assert shapes[0] == shapes[1]
    name = "bert.encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(tuned.model.state_dict()[name], random.model.state_dict()[name])


def test_lower_layers_learn_more_slowly_and_norms_do_not_decay(tiny_encoder):
    network = begun(tiny_encoder, Scored.TEXT)
    rates = {}
    for group in groups(network.model, PLAN):
        for parameter in group["params"]:
            name = next(name for name, each in network.model.named_parameters() if each is parameter)
            rates[name] = (group["lr"], group["weight_decay"])
    assert rates["classifier.weight"] == (1e-3, 0.01)
    assert rates["classifier.bias"] == (1e-3, 0.0)
    assert rates["bert.encoder.layer.1.output.dense.weight"] == pytest.approx((0.9e-3, 0.01))
    assert rates["bert.encoder.layer.0.output.LayerNorm.weight"] == pytest.approx((0.81e-3, 0.0))
    assert rates["bert.embeddings.word_embeddings.weight"] == pytest.approx((0.729e-3, 0.01))


def test_what_cannot_be_tuned_or_read_is_said_in_a_line(tmp_path):
    import transformers

    transformers.ViTConfig(hidden_size=8).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="no head for words on models of type 'vit'; name a BERT-like encoder"):
        begun(tmp_path, Scored.TOKENS)
    with pytest.raises(RunError, match=r"lacks 'model\.safetensors'; run the recipe again"):
        Network.read(tmp_path, device="cpu")


def test_the_clock_touches_no_training_that_is_in_time(tiny_encoder, monkeypatch):
    rows = [TrainingText(each, at % 3) for at, each in enumerate(begun(tiny_encoder, Scored.TEXT).cut(TEXTS))]

    def weights(seconds, used):
        """Train with a clock that says that a share of the time is used, from the first step to the last."""
        moments = iter([0.0])
        monkeypatch.setattr(fine_tuning, "monotonic", lambda: next(moments, used * (seconds or 0.0)))
        network = begun(tiny_encoder, Scored.TEXT)
        with quiet(), own_randomness():
            train(network, rows, replace(PLAN, seconds=seconds), judge=None, progress=Silent())
        return list(network.model.parameters())

    free = weights(None, 0.0)
    assert all(map(torch.equal, weights(100.0, fine_tuning.AHEAD), free))
    assert not all(map(torch.equal, weights(100.0, 0.7), free))
