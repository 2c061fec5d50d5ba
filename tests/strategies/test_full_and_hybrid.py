"""The model's own weights: what is trained, what is kept, what stays as it was, and what does not fit."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from llmtl.engines.checkpoint import count_parameters, inspect_checkpoint
from llmtl.engines.engine_cache import EngineCache
from llmtl.errors import ModelError, RunError
from llmtl.hardware import inspect
from llmtl.json_and_yaml import parse_json
from llmtl.strategies.encoder import EncoderTuningConfig, FineTunedEncoder
from llmtl.strategies.full import Full, FullChoices
from llmtl.strategies.hybrid import Hybrid, HybridChoices
from llmtl.strategies.qlora import Qlora, QloraConfig
from llmtl.strategies.table import DEFAULT
from llmtl.strategy import FitContext
from llmtl.tuning.needed_memory import frozen_layers
from llmtl.tuning.trained_weights import OwnWeights
from tests.support.fitted import again, curve_of

CHOSEN = {"max_epochs": 20, "batch_size": 8, "learning_rate": 3e-3}
EACH = {"full": Full(FullChoices(**CHOSEN)), "hybrid": Hybrid(HybridChoices(**CHOSEN, frozen=0.5))}


@pytest.fixture(scope="module")
def make_fitted(source, task, examples, make_progress, tmp_path_factory):
    """Return a function that fits a strategy, once, and gives its context, what came out, and its weights."""
    done, engines = {}, EngineCache(source)

    def make(name):
        if name not in done:
            context = FitContext(
                task=task,
                train=examples,
                dev=examples,
                model=source,
                load_engine=engines.load,
                folder=tmp_path_factory.mktemp(name),
                progress=make_progress(),
                release_engines=engines.release,
            )
            found = EACH[name].fit(context)
            done[name] = context, found, load_file(context.folder / "model" / "model.safetensors")
        return done[name]

    yield make
    engines.release()


@pytest.mark.parametrize("name", list(EACH))
def test_eight_messages_are_learned_by_heart_kept_and_read_again(make_fitted, examples, name):
    context, found, _ = make_fitted(name)
    texts, expected = [example.text for example in examples], [example.reference for example in examples]
    assert curve_of(found).points[-1].dev_loss < curve_of(found).points[0].dev_loss / 10
    first = found.predictor.predict(texts)
    assert [each.answer for each in first] == expected
    restored = again(EACH[name], context, found.predictor)
    assert [dict(each.probabilities) for each in restored.predict(texts)] == [
        dict(each.probabilities) for each in first
    ]
    assert found.predictor.served().checkpoint == context.folder / "model"
    base = context.load_engine(None)  # the base model is asked as before
    assert base.score(["x"], ["a", "b"])


def test_all_weights_of_full_change_and_the_output_head_stays_the_input_embeddings(make_fitted, tiny_llama):
    kept, before = make_fitted("full")[2], load_file(tiny_llama / "model.safetensors")
    assert kept.keys() == before.keys()
    assert not any(torch.equal(kept[name], before[name]) for name in before)
    assert "lm_head.weight" not in kept


def test_the_first_layers_of_hybrid_stay_and_the_output_head_becomes_its_own(make_fitted, tiny_llama):
    context, _, kept = make_fitted("hybrid")
    before = load_file(tiny_llama / "model.safetensors")
    same = {name for name in before if torch.equal(kept[name], before[name])}
    assert same == {name for name in before if "embed_tokens" in name or ".layers.0." in name}
    assert kept.keys() - before.keys() == {"lm_head.weight"}
    assert not torch.equal(kept["lm_head.weight"], kept["model.embed_tokens.weight"])
    assert parse_json((context.folder / "model" / "config.json").read_bytes())["tie_word_embeddings"] is False


def test_weights_are_kept_in_the_numbers_that_engines_run_in(tiny_llama, tmp_path):
    weights = OwnWeights("bfloat16")
    model = weights.load(tiny_llama, device="cpu")
    weights.save(model, tmp_path)
    kept = load_file(tmp_path / "model.safetensors")
    assert {each.dtype for each in kept.values()} == {torch.bfloat16}
    assert "lm_head.weight" not in kept
    assert {each.dtype for each in model.parameters()} == {torch.float32}  # training goes on in float32


def test_a_changed_or_missing_model_is_refused(make_fitted, tmp_path):
    context, found, _ = make_fitted("full")
    found.predictor.save(tmp_path)
    weights = tmp_path / "model" / "model.safetensors"
    *kept, last = weights.read_bytes()
    weights.write_bytes(bytes([*kept, last ^ 1]))
    with pytest.raises(RunError, match="not the one that was trained"):
        EACH["full"].load(context, tmp_path)
    weights.unlink()
    with pytest.raises(RunError, match=r"has no model\*\.safetensors"):
        EACH["full"].load(context, tmp_path)


@pytest.mark.parametrize(("layers", "share", "frozen"), [(30, 0.7, 21), (2, 0.7, 1), (2, 0.99, 1), (10, 0.3, 3)])
def test_the_share_of_frozen_layers_is_rounded_down_and_leaves_one(layers, share, frozen):
    assert frozen_layers(layers, share) == frozen


def test_what_does_not_fit_is_refused_in_one_line_before_a_run(tiny_llama):
    info, machine = inspect_checkpoint(str(tiny_llama)), replace(inspect(), gpus=(), ram_free_gib=0.001)
    with pytest.raises(ModelError, match=r"'full' needs at least .* GiB .* 0\.0 GiB free; take lora or qlora"):
        Full().require_memory(info, machine)
    with pytest.raises(ModelError, match=r"'qlora' needs at least .* GiB free; take a smaller model\."):
        Qlora().require_memory(info, machine)
    for strategy in (Full(), Qlora()):
        strategy.require_memory(info, replace(machine, ram_free_gib=1.0))
    config = parse_json((tiny_llama / "config.json").read_bytes())
    assert count_parameters(config) == info.parameters


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        (Qlora(QloraConfig(learning_rate=0.5)), "strategies.qlora.learning_rate is 0.5, and 0.0001 to 0.0003"),
        (Qlora(QloraConfig(learning_rate=1e-6)), "hardly learn"),
        (Full(FullChoices(learning_rate=0.1)), "strategies.full.learning_rate is 0.1, and 1e-05 to 0.0001"),
        (
            FineTunedEncoder(EncoderTuningConfig(learning_rate=(2e-5, 0.05))),
            "strategies.encoder.learning_rate is 0.05, and 2e-05 to 0.0001",
        ),
        (Hybrid(HybridChoices(max_epochs=200)), "strategies.hybrid.max_epochs is 200, and 3 to 10"),
    ],
)
def test_rates_and_epochs_ten_times_outside_are_said(strategy, said, tiny_llama):
    [doubt] = strategy.doubts(inspect_checkpoint(str(tiny_llama)))
    assert said in doubt
    assert type(strategy)().doubts(None) == ()


def test_a_rate_that_the_rule_gives_a_small_model_is_not_odd(tiny_llama):
    info = inspect_checkpoint(str(tiny_llama))
    rate = Qlora().usual_rate(info)
    assert rate > 10 * 3e-4 / 2
    assert Qlora(QloraConfig(learning_rate=rate)).doubts(info) == ()


def test_they_are_measured_where_they_are_asked_for():
    assert not {"full", "hybrid"} & set(DEFAULT)
