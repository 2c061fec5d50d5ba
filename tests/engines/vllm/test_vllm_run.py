"""A whole run of the Mistral family with `model.engine: vllm`, a prompt and a trained adapter, against transformers."""

from dataclasses import replace

import pytest

from llmtl.pipeline.run_format import read_examples
from tests.support.front_desk import make_run

pytestmark = pytest.mark.slow
STRATEGIES = "  run: [majority, few-shot, qlora]\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a finished run of pocket-mistral in which vLLM ran the model."""
    return make_run(tmp_path_factory.mktemp("run"), "pocket-mistral", engine="vllm", strategies=STRATEGIES)


def by_transformers(run):
    """Return the same run with the other engine, for predicting."""
    model = run.recipe.model.model_copy(update={"engine": "transformers"})
    return replace(run, recipe=run.recipe.model_copy(update={"model": model}), _predictors={})


def test_both_engines_predict_the_same_of_a_prompt_and_of_an_adapter(run):
    other = by_transformers(run)
    likeliest = {}
    for strategy in ("few-shot", "qlora"):
        recorded, again = [], []
        for split in ("dev", "test"):
            [found] = [each for each in run.evaluations if (each.strategy, each.split) == (strategy, split)]
            recorded += found.predictions
            again += other.predictor(strategy).predict([each.text for each in read_examples(run.folder, split)])
        assert sum(a.answer == b.answer for a, b in zip(recorded, again, strict=True)) >= 0.995 * len(recorded)
        for a, b in zip(recorded, again, strict=True):
            assert dict(a.probabilities) == pytest.approx(dict(b.probabilities), abs=1e-3)
        likeliest[strategy] = [each.answer for each in recorded]
        assert len(set(likeliest[strategy])) > 2
    assert likeliest["few-shot"] != likeliest["qlora"]


def test_the_run_says_which_engine_ran_the_model(run):
    assert run.recipe.model.engine == "vllm"
    [tuned] = [each for each in run.evaluations if (each.strategy, each.split) == ("qlora", "test")]
    # transformers computes the shared prefix of prompts once per call and knows no other; vLLM keeps whole blocks of 32
    assert {each.cached_tokens % 32 for each in tuned.predictions} == {0}
    assert max(each.cached_tokens for each in tuned.predictions) >= 32
