"""Retrieval as a kind: what cells and prediction files may hold, the constant answer, a verdict on files."""

import json
import random
from types import SimpleNamespace

import pytest

from llmtl.decision.automation import check_goal
from llmtl.decision.config import DecisionConfig
from llmtl.errors import InputError, RecipeError
from llmtl.kinds.text_retrieval import RETRIEVAL
from llmtl.pipeline.decide_files import PredictionTask, decide_predictions
from llmtl.task import Metric


def read(value):
    items = value if isinstance(value, list) else [value]
    if isinstance(value, str) and value.startswith("["):
        items = json.loads(value)
    return RETRIEVAL.read(
        SimpleNamespace(value=value, name=lambda: str(value) or None, items=lambda: items, name_of=str)
    )


def test_a_cell_names_one_or_several_relevant_texts():
    assert read("How to get a refund") == ('["How to get a refund"]',)
    assert read(["a", "b", "a"]) == ('["a", "b"]',)
    assert read('["7", "3"]') == ('["7", "3"]',)
    assert read([]) == ()


def test_a_prediction_file_may_hold_a_list_its_json_or_one_id():
    assert RETRIEVAL.canonical(["b", "a", "b"]) == RETRIEVAL.canonical('["b", "a"]') == '["b", "a"]'
    assert RETRIEVAL.canonical("b") == '["b"]'
    assert RETRIEVAL.canonical([3, "a"]) == '["3", "a"]'
    for wrong in ({"a": 1}, None, [["a"]]):
        with pytest.raises(InputError, match="is not a list of ids; write a JSON list of strings"):
            RETRIEVAL.canonical(wrong)
    assert RETRIEVAL.from_json(RETRIEVAL.as_json('["b", "a"]'), ()) == '["b", "a"]'


def test_the_constant_answer_is_what_is_relevant_most_often():
    assert RETRIEVAL.constant(['["a"]', '["b", "c"]', '["c"]', '["b", "c"]']) == '["c", "b", "a"]'
    many = [json.dumps([str(number) for number in range(30)])]
    assert len(RETRIEVAL.as_json(RETRIEVAL.constant(many))) == 10


def test_words_name_the_first_ten():
    assert RETRIEVAL.in_words('["b", "a"]') == "b, a"
    assert RETRIEVAL.in_words("[]") == "(no text)"
    assert RETRIEVAL.in_words(json.dumps([str(number) for number in range(12)])).endswith("9 and 2 more")


def test_nothing_is_left_to_a_ranking():
    with pytest.raises(RecipeError, match=r"better or worse; set decision\.goal=score"):
        check_goal(DecisionConfig(goal="automate"), RETRIEVAL, Metric.NDCG_10)


def test_files_of_rankings_are_decided_paired_by_query(tmp_path):
    draw = random.Random(0)
    ids = [str(number) for number in range(20)]
    rows = {"words": [], "tuned": []}
    for number in range(80):
        relevant = draw.sample(ids, 2)
        for name, rank in (("words", 4), ("tuned", 1)):
            others = [id_ for id_ in draw.sample(ids, 12) if id_ not in relevant]
            ranking = others[: draw.randrange(rank)] + relevant + others
            rows[name].append({"id": number, "reference": relevant, "prediction": ranking[:10], "cost": 0.001})
    for name, made in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in made))
    decision = decide_predictions(
        [tmp_path / "words.jsonl", tmp_path / "tuned.jsonl"],
        task=PredictionTask(kind=RETRIEVAL),
        baselines=["words"],
        config=DecisionConfig(resamples=1000),
    )
    assert (str(decision.verdict), decision.winner, decision.metric) == ("adopt", "tuned", "ndcg@10")
