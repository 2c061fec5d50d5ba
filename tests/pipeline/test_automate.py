"""A run whose choice is made by how much can be left to a strategy, from recipe to report, without a language model."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import llmtl
from llmtl.cli import main
from llmtl.decision.config import Goal
from llmtl.decision.outcome import Rule, Verdict
from llmtl.decision.promise import Promise
from llmtl.errors import RecipeError
from llmtl.pipeline.report import report_content
from llmtl.playground.decision_tab import decision_page
from llmtl.settings import load_recipe

RECIPE = """
name: automated
data: {path: data.csv, near_duplicate_threshold: 1.0}
model: {name: pocket-llama}
strategies: {run: [majority, tfidf]}
learning_curve: {enabled: false}
decision: {goal: automate, resamples: 1000}
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Messages of two kinds, of which a quarter could be either."""
    folder, rng = tmp_path_factory.mktemp("automate"), np.random.default_rng(0)
    words = {"refund": ("money back", "refund", "charged twice"), "lost": ("missing", "lost", "never came")}
    rows = []
    for number in range(900):
        label = ("refund", "lost")[number % 2]
        told = "about my thing" if rng.random() < 0.25 else rng.choice(words[label])
        rows.append((f"hello {told}, order {rng.integers(10**6)}, {rng.choice(['please', 'thanks', 'soon'])}", label))
    with (folder / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder / "recipe.yaml"


@pytest.fixture(scope="module")
def run(recipe: Path) -> llmtl.Run:
    return llmtl.run(recipe, out=recipe.parent / "run")


def test_the_choice_is_written_down_by_share_before_test(run: llmtl.Run):
    written = json.loads((run.folder / "choice.json").read_text())
    assert written["goal"] == "automate"
    assert written["strategy"] == "tfidf"
    assert written["expected_shares"]["tfidf"] > 0.5
    assert run.decision.choice.goal is Goal.AUTOMATE


def test_the_verdict_rests_on_a_promise_that_test_confirmed(run: llmtl.Run):
    decision = run.decision
    promise = next(item for item in decision.automation if item.strategy == "tfidf")
    assert (decision.verdict, decision.winner, decision.rule) == (Verdict.BASELINE, "tfidf", Rule.NO_SURE_LLM)
    assert promise.promise is Promise.SHOWN
    assert promise.threshold in next(item for item in decision.choice.ladders if item.strategy == "tfidf").thresholds
    assert {item.a for item in decision.share_comparisons} | {item.b for item in decision.share_comparisons} <= {
        item.name for item in decision.strategies
    }


def test_every_form_of_the_report_speaks_of_the_share(run: llmtl.Run):
    page, text = ((run.folder / name).read_text() for name in ("report.html", "report.md"))
    tab = decision_page(report_content(run))
    for told in (page, text, tab):
        assert "can be left to TF-IDF and logistic regression alone" in told
    assert "Left to it alone" in page
    assert "Left to it alone" in tab
    assert "that is expected to forgo least of the share of inputs" in text
    assert "the same level for all" in page


def test_the_goal_of_a_finished_run_can_be_changed_and_nothing_is_scored_again(recipe: Path, run: llmtl.Run):
    again = llmtl.run(recipe, out=run.folder, overrides=["decision.goal=score"])
    assert again.evaluations == run.evaluations
    assert again.decision.choice.goal is Goal.SCORE
    assert again.decision.share_comparisons == ()
    back = llmtl.run(recipe, out=run.folder)
    assert back.decision.share_comparisons == run.decision.share_comparisons


@pytest.mark.parametrize(
    ("override", "cure"),
    [
        ("decision.usd_per_error=0.5", "unset one of them"),
        ("task.kind=generation", "set task.metric=exact_match or decision.goal=score"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_when_the_recipe_is_read(recipe: Path, override: str, cure: str):
    generating = ["strategies={run: [zero-shot]}"] if "generation" in override else []
    with pytest.raises(RecipeError, match=cure) as refused:
        load_recipe(recipe, [override, *generating])
    assert "\n" not in str(refused.value)


def _predictions(folder: Path, name: str, right: float, *, cost: float, sure: bool = True) -> str:
    rng, rows = np.random.default_rng(len(name)), []
    for number, hit in enumerate(rng.random(1200) < right):
        confidence = float(np.clip(rng.normal(0.9 if hit else 0.6, 0.08), 0.01, 0.99))
        row = {"id": number, "reference": "ab"[number % 2], "prediction": "ab"[number % 2 if hit else 1 - number % 2]}
        row |= {"cost": cost, "split": "dev" if number % 2 else "test", "draw": "none"}
        rows.append(json.dumps(row | ({"confidence": confidence} if sure else {})))
    path = folder / f"{name}.jsonl"
    path.write_text("\n".join(rows))
    return str(path)


def test_prediction_files_are_decided_by_share_and_the_terminal_says_so(tmp_path: Path, capsys):
    files = [
        _predictions(tmp_path, "tfidf", 0.6, cost=1e-6),
        _predictions(tmp_path, "tuned", 0.9, cost=1e-4),
        _predictions(tmp_path, "mute", 0.97, cost=1e-4, sure=False),
    ]
    arguments = ["decide", "--predictions", *files, "--baseline", "tfidf", "--goal", "automate", "--no-cascades"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "of 100 inputs can be left to it alone, with at most 5% of them wrong" in told
    assert "can be left to tuned and" in told
    assert "mute could not be chosen" in told
    written = json.loads((tmp_path / "decision.json").read_text())
    assert written["rule"] == "larger_share"
    assert written["share_comparisons"][0]["p_holm"] <= 0.05
