"""The table of strategies: order, laziness, and names that do not exist."""

import subprocess
import sys

import jsonschema
import pytest

from llmtl.errors import RecipeError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.kinds.table import KINDS
from llmtl.kinds.text_retrieval import RETRIEVAL
from llmtl.recipe import json_schema, validate
from llmtl.strategies.table import STRATEGIES, StrategiesConfig, build, usual_baselines
from llmtl.strategy import Role
from llmtl.task import Metric

PROMPTS = ("zero-shot", "few-shot", "many-shot", "knn-few-shot")
ORDER = ("majority", "tfidf", *PROMPTS, "qlora")
BASELINES = {
    CLASSIFICATION: ("majority", "tfidf"),
    MULTI_LABEL: ("majority", "tfidf"),
    EXTRACTION: ("majority", "dictionary", "crf"),
    GENERATION: ("majority", "nearest"),
}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.searches])
def test_by_default_a_task_gets_all_strategies_that_serve_its_kind(kind):
    strategies = build(StrategiesConfig(), kind)
    heads = ("embedding-head",) if kind in (CLASSIFICATION, MULTI_LABEL) else ()
    probes = (*heads, "linear-probe") if kind is not GENERATION else ()
    pairs, encoders = (("setfit",) if kind is CLASSIFICATION else ()), (("encoder",) if kind is not GENERATION else ())
    tuned = (*pairs, *encoders, "qlora")
    assert tuple(each.name for each in strategies) == (*BASELINES[kind], *probes, *PROMPTS, *tuned)
    roles = [Role.BASELINE] * len(BASELINES[kind]) + [Role.FEATURES] * len(probes)
    roles += [Role.PROMPTING] * len(PROMPTS) + [Role.TUNING] * len(tuned)
    assert [each.role for each in strategies] == roles
    assert set(STRATEGIES) >= {*ORDER, "hosted"}


def test_by_default_a_search_gets_what_ranks_a_corpus():
    assert [each.name for each in build(StrategiesConfig(), RETRIEVAL)] == [
        "majority",
        "bm25",
        "embedding-search",
        "tuned-search",
    ]


def test_the_default_that_was_written_out_is_still_the_default():
    written = StrategiesConfig(**StrategiesConfig().model_dump(mode="json"))
    assert [each.name for each in build(written, GENERATION)][:2] == ["majority", "nearest"]


def test_a_strategy_asked_for_by_name_must_serve_the_kind():
    with pytest.raises(RecipeError, match=r"'tfidf' does not serve .* extraction.*valid here: majority, dictionary"):
        build(StrategiesConfig(run=("majority", "tfidf")), EXTRACTION)


def test_the_cheapest_come_first_whatever_the_order_in_the_recipe():
    chosen = StrategiesConfig(run=("few-shot", "majority", "tfidf"))
    assert [each.name for each in build(chosen)] == ["majority", "tfidf", "few-shot"]


def test_each_strategy_gets_its_own_section():
    config = validate(
        StrategiesConfig,
        {
            "tfidf": {"c": [2.0]},
            "few_shot": {"seeds": 7},
            "knn_few_shot": {"shots": [3]},
            "qlora": {"rank": 4},
            "run": ["tfidf", "few-shot", "knn-few-shot", "qlora"],
        },
        source="test",
    )
    tfidf, few_shot, knn, qlora = build(config)
    assert (tfidf.config.c, few_shot.config.seeds, knn.config.shots, qlora.config.rank) == ((2.0,), 7, (3,), 4)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["zeroshot"], r"no strategy 'zeroshot' \(did you mean 'zero-shot'\?\)"),
        (["banana"], r"no strategy 'banana' \(valid here: majority, tfidf, .*qlora, .*\)"),
        (["qlor", "tfid"], r"'qlora'.* and .*'tfidf'"),
        (["tfidf", "tfidf"], r"'tfidf' is listed twice"),
        ([], r"'run'.* at least 1 item"),
    ],
)
def test_wrong_names_are_one_line_with_the_nearest_valid_one(names, message):
    with pytest.raises(RecipeError, match=message):
        validate(StrategiesConfig, {"run": names}, source="test")


def test_the_schema_lists_the_names():
    schema = json_schema(StrategiesConfig)
    jsonschema.validate({"run": list(STRATEGIES), "few_shot": {"shots": [4]}}, schema)
    for wrong in ({"run": ["banana"]}, {"few_shot": {"shots": [0]}}, {"banana": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_reading_a_recipe_section_loads_neither_torch_nor_scikit_learn():
    heavy = {"torch", "sklearn", "sklearn_crfsuite", "transformers", "openai"}
    code = f"import sys, llmtl.strategies.table; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_kind_has_one_usual_baseline_and_there_is_one_plain_prompt():
    for kind in KINDS:
        serving = [each.facts for each in STRATEGIES.values() if each.facts.serves(kind)]
        assert sum(facts.usual_baseline for facts in serving) == 1
        plain = [facts.name for facts in serving if facts.plain_prompt]
        assert plain == ([] if kind.searches else ["zero-shot"])


@pytest.mark.parametrize(
    ("metric", "named"),
    [
        (Metric.ACCURACY, ["tfidf"]),
        (Metric.MICRO_F1, ["tfidf", "dictionary"]),
        (Metric.FIELD_F1, ["dictionary"]),
        (Metric.CHRF, ["nearest"]),
        (Metric.NDCG_10, ["bm25"]),
    ],
)
def test_the_baseline_to_add_is_of_the_kinds_that_the_metric_judges(metric, named):
    assert usual_baselines(metric) == named
