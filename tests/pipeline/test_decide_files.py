"""`llmtl decide`: prediction files to a verdict, and one clear line for every bad file."""

import hashlib
import json

import numpy as np
import pandas
import pytest

from llmtl.cli import main
from llmtl.decision.broken_limits import Broken, Constraint
from llmtl.decision.config import DecisionConfig
from llmtl.decision.one_draw import OneDraw, UnknownDraws
from llmtl.decision.outcome import Halved, NoCost, NoLatency, Verdict
from llmtl.decision.promise import Promise
from llmtl.decision.strange_answers import StrangeAnswers
from llmtl.errors import DataError, InputError, RecipeError
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.pipeline.decide_files import PredictionTask, decide_predictions
from llmtl.report.brief import brief_of
from llmtl.report.decision_file import from_json, to_json
from llmtl.report.sentences import summarize
from llmtl.report.wording import verdict
from llmtl.task import Draw, Metric

LABELS = ("a", "b", "c")


def write(folder, name, share, *, n=400, seed=0, **fields):
    rng = np.random.default_rng(seed)
    rows = []
    for i, ok in enumerate(rng.random(n) < share):
        row = {"id": i, "reference": LABELS[i % 3], "prediction": LABELS[(i if ok else i + 1) % 3]}
        rows.append(row | {key: value(i) if callable(value) else value for key, value in fields.items()})
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def halves(i):
    return "dev" if i % 2 else "test"


def test_a_clear_winner_is_adopted_and_written(tmp_path, capsys):
    weak = write(tmp_path, "tfidf", 0.6, cost=1e-6, latency_ms=2, split=halves)
    strong = write(tmp_path, "tuned", 0.9, seed=1, cost=1e-4, latency_ms=9, split=halves)
    arguments = ["decide", "--predictions", str(weak), str(strong), "--baseline", "tfidf", "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert "Use tuned: right " in capsys.readouterr().out
    decision = from_json(json.loads((tmp_path / "decision.json").read_text(encoding="utf-8")))
    assert (decision.verdict, decision.winner) == ("adopt", "tuned")
    assert [item.test.n for item in decision.strategies] == [200, 200]
    assert decision.strategies[1].usd_per_1k_requests == pytest.approx(0.1)
    assert decision.cautions == (UnknownDraws(("tfidf", "tuned")),)


def test_the_report_shows_the_texts_that_any_file_has(tmp_path, capsys):
    weak = write(tmp_path, "tfidf", 0.6, cost=1e-6, latency_ms=2, split=halves)
    strong = write(tmp_path, "tuned", 0.9, seed=1, cost=1e-4, latency_ms=9, split=halves, text=lambda i: f"<b>no {i}")
    arguments = ["decide", "--predictions", str(weak), str(strong), "--out", str(tmp_path / "out"), "--json"]
    assert main(arguments) == 0
    printed, errors = capsys.readouterr()
    assert json.loads(printed) == json.loads((tmp_path / "out" / "decision.json").read_text(encoding="utf-8"))
    assert not errors
    for name in ("report.html", "report.md"):
        said = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert "b&gt;no " in said or "b\\>no " in said
        assert "The predictions were made elsewhere" in said
        assert "None were made: only the predictions are known." in said
        assert "Demonstrations come from train only" not in said
        assert "USD per month" in said
        assert "Tokens, memory" not in said
        assert hashlib.sha256(weak.read_bytes()).hexdigest() in said
    decide_predictions([write(tmp_path, "one", 0.6), write(tmp_path, "two", 0.9, seed=1)], out=tmp_path / "bare")
    assert "example 17" in (tmp_path / "bare" / "report.html").read_text(encoding="utf-8")


def test_without_dev_rows_it_says_that_it_halved_them_and_keeps_groups_together(tmp_path):
    paths = [
        write(tmp_path, name, share, seed=seed, group=lambda i: i // 8)
        for seed, (name, share) in enumerate({"one": 0.6, "two": 0.9}.items())
    ]
    decision = decide_predictions(paths)
    assert decision.cautions[:3] == (Halved(200, 200), NoCost(), NoLatency())
    told = summarize(decision).warnings
    assert any("random half of the examples (200)" in line for line in told)
    assert any("no cost" in line for line in told)
    assert "over groups" in decision.comparisons[0].method


def test_one_draw_that_matters_is_widened_and_one_that_does_not_is_not(tmp_path):
    base = write(tmp_path, "base", 0.6, split=halves, draw="none")
    files = {
        draw: write(tmp_path, name, 0.8, seed=1, split=halves, **({"draw": draw} if draw else {}))
        for draw, name in ((None, "unsaid"), ("none", "fixed"), ("demonstrations", "shown"))
    }
    found = {draw: decide_predictions([base, path], baselines=("base",)) for draw, path in files.items()}
    unsaid, fixed, shown = (found[draw].comparisons[0] for draw in (None, "none", "demonstrations"))
    assert fixed.p == unsaid.p < 0.001 < shown.p
    assert "exact McNemar" in fixed.method
    assert (fixed.draw_sd, unsaid.draw_sd) == (0, 0)
    assert shown.draw_sd == pytest.approx(0.17 * (0.8 * 0.2) ** 0.5, rel=0.05)
    assert shown.ci95[1] - shown.ci95[0] > 2 * (fixed.ci95[1] - fixed.ci95[0])
    assert found["none"].cautions == (NoCost(), NoLatency())
    assert found[None].cautions[2:] == (UnknownDraws(("unsaid",)),)
    assert found["demonstrations"].cautions[2:] == (OneDraw("shown", Draw.DEMONSTRATIONS, shown.draw_sd),)
    [warning] = [line for line in summarize(found["demonstrations"]).warnings if "draw" in line]
    assert warning.startswith("shown was measured with one draw of demonstrations: other demonstrations would move")


def test_rows_that_say_several_things_of_their_draw_are_refused(tmp_path):
    odd = write(tmp_path, "odd", 0.8, split=halves, draw=lambda i: "none" if i else "training")
    with pytest.raises(DataError, match="The rows of 'odd' say several things of 'draw'"):
        decide_predictions([write(tmp_path, "base", 0.6, split=halves), odd])
    wrong = write(tmp_path, "wrong", 0.8, split=halves, draw="luck")
    with pytest.raises(DataError, match="line 1: 'draw' is wrong"):
        decide_predictions([write(tmp_path, "base", 0.6, split=halves), wrong])


def test_seeds_enter_the_interval(tmp_path):
    base = write(tmp_path, "base", 0.7, split=halves)
    runs = [write(tmp_path, f"run{seed}", 0.8, seed=seed, split=halves, n=400) for seed in (1, 2, 3)]
    rows = [
        json.dumps(json.loads(line) | {"seed": seed})
        for seed, path in enumerate(runs)
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    tuned = tmp_path / "tuned.jsonl"
    tuned.write_text("\n".join(rows), encoding="utf-8")
    decision = decide_predictions([base, tuned], baselines=["base"], config=DecisionConfig(resamples=2000))
    assert "seeds" in decision.comparisons[0].method
    assert next(item.test.seeds for item in decision.strategies if item.name == "tuned") == 3


@pytest.mark.parametrize("metric", [Metric.MICRO_F1, Metric.MACRO_F1, Metric.ACCURACY])
def test_multi_label_lists(tmp_path, metric):
    paths = [
        write(tmp_path, name, share, seed=seed, split=halves)
        for seed, (name, share) in enumerate({"one": 0.5, "two": 0.95}.items())
    ]
    for path in paths:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        rows = [row | {key: [row[key]] for key in ("reference", "prediction")} for row in rows]
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    task = PredictionTask(MULTI_LABEL, metric)
    decision = decide_predictions(paths, task=task, baselines=["one"], config=DecisionConfig(resamples=1000))
    assert (decision.verdict, decision.winner, decision.metric) == ("adopt", "two", metric.value)


def test_generation_with_several_references(tmp_path):
    paths = []
    for name, text in (("one", "nothing of the kind"), ("two", "the red house on the hill")):
        paths.append(tmp_path / f"{name}.jsonl")
        rows = [
            {"id": i, "reference": ["a red house", "the red house on a hill"], "prediction": text, "split": halves(i)}
            for i in range(40)
        ]
        paths[-1].write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    task = PredictionTask(GENERATION)
    decision = decide_predictions(paths, task=task, baselines=["one"], config=DecisionConfig(resamples=1000))
    assert (decision.winner, decision.metric) == ("two", "chrf")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": 1', "is not valid JSON"),
        ("[1]", "holds a list"),
        ('{"id": 1, "reference": "a"}', "'prediction' is missing"),
        ('{"id": 1, "reference": "a", "prediction": "a", "cost": -1}', "'cost' is wrong"),
        ('{"id": 1, "reference": "a", "prediction": "a", "split": "train"}', "write dev or test"),
        ('{"id": 1, "reference": "a", "prediction": "a"}\n{"id": 1, "reference": "a", "prediction": "b"}', "two rows"),
        ('{"id": "new", "reference": "a", "prediction": "a"}', "has the example"),
        ("", "is empty"),
    ],
)
def test_bad_files_get_one_line(tmp_path, line, said):
    good, bad = write(tmp_path, "good", 0.8, n=6), tmp_path / "bad.jsonl"
    bad.write_text(line, encoding="utf-8")
    with pytest.raises(DataError, match=said) as caught:
        decide_predictions([good, bad])
    assert "\n" not in str(caught.value)


def test_what_cannot_be_decided_is_refused(tmp_path):
    good, costly = write(tmp_path, "good", 0.8, n=6), write(tmp_path, "costly", 0.8, n=6, cost=0.1)
    with pytest.raises(DataError, match="at least two"):
        decide_predictions([good])
    with pytest.raises(InputError, match="baseline 'none'"):
        decide_predictions([good, costly], baselines=["none"])
    with pytest.raises(DataError, match="'good' has no cost and others do"):
        decide_predictions([good, costly])
    with pytest.raises(DataError, match="given twice"):
        decide_predictions([good, good])
    with pytest.raises(DataError, match="latency is limited"):
        decide_predictions([good, write(tmp_path, "other", 0.5, n=6)], config=DecisionConfig(max_p95_ms=5))
    with pytest.raises(InputError, match="is a file"):
        decide_predictions([good, write(tmp_path, "third", 0.5, n=6)], out=good)
    with pytest.raises(DataError, match="say which --kind"):
        decide_predictions([good, write(tmp_path, "listed", 0.5, n=6, prediction=["a"])])


@pytest.mark.parametrize("limit", [{"max_memory_gib": 8}, {"max_vram_gib": 8}, {"private": True}])
def test_a_constraint_that_files_say_nothing_about_does_not_seem_kept(tmp_path, limit):
    paths = [write(tmp_path, name, 0.8, n=6, cost=1, latency_ms=1) for name in ("one", "two")]
    with pytest.raises(DataError, match=f"decision.{next(iter(limit))} is set"):
        decide_predictions(paths, config=DecisionConfig(**limit))


def test_what_the_files_do_not_say_is_unknown_everywhere(tmp_path, capsys):
    paths = [write(tmp_path, name, share, split=halves) for name, share in (("weak", 0.6), ("strong", 0.9))]
    assert main(["decide", "--predictions", *map(str, paths), "--baseline", "weak", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "unknown" in shown
    assert "0.1 ms" not in shown
    for row in json.loads((tmp_path / "decision.json").read_text(encoding="utf-8"))["strategies"]:
        unknown = {"usd_per_1k_requests", "usd_total", "p50_ms", "p95_ms", "train_seconds", "train_gpu_hours"}
        assert {row[name] for name in unknown} == {None}


def test_an_unknown_latency_does_not_pass_a_limit(tmp_path):
    weak = write(tmp_path, "weak", 0.6, split=halves, latency_ms=20)
    strong = write(tmp_path, "strong", 0.9, seed=1, split=halves)
    decision = decide_predictions([weak, strong], baselines=["weak"], config=DecisionConfig(max_p95_ms=50))
    assert decision.winner == "weak"
    assert decision.choice.barred == {"strong": (Broken(Constraint.P95_MS, 50, None),)}
    assert "latency is not known" in summarize(decision).why_not["strong"]
    assert "The latency of strong is not known" in " ".join(summarize(decision).warnings)
    assert decide_predictions([weak, strong], baselines=["weak"]).winner == "strong"


def test_the_total_is_unknown_where_the_price_of_training_is(tmp_path):
    paths = [write(tmp_path, name, share, split=halves, cost=1e-4) for name, share in (("weak", 0.6), ("strong", 0.9))]
    decision = decide_predictions(paths, baselines=["weak"])
    assert [(row.usd_per_1k_requests, row.usd_total) for row in decision.strategies] == [(pytest.approx(0.1), None)] * 2
    assert "what training it costs is not known" in " ".join(summarize(decision).reasons)


def test_a_cost_in_some_rows_only_is_refused(tmp_path):
    good = write(tmp_path, "good", 0.8, n=6, cost=1)
    odd = write(tmp_path, "odd", 0.8, n=6, cost=lambda i: 1 if i else None)
    with pytest.raises(DataError, match="Some rows of 'odd' have no cost"):
        decide_predictions([good, odd])


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def verdict_of(*paths, **options):
    found = decide_predictions(paths, baselines=["base"], config=DecisionConfig(resamples=1000), **options)
    return found.verdict, found.comparisons[0].difference, found.comparisons[0].p


def test_byte_order_marks_line_endings_and_row_order_change_nothing(tmp_path):
    base, good = write(tmp_path, "base", 0.6, n=90), write(tmp_path, "good", 0.9, n=90, seed=1)
    expected = verdict_of(base, good)
    lines = lines_of(good)
    for text in ("\ufeff" + "\n".join(lines), "\r\n".join(lines), "\n".join(reversed(lines))):
        good.write_bytes(text.encode())
        assert verdict_of(base, good) == verdict_of(good, base) == expected


def test_line_separators_within_a_text_end_no_row(tmp_path):
    base, odd = write(tmp_path, "base", 0.6, n=20), tmp_path / "odd.jsonl"
    rows = [json.loads(line) | {"prediction": "a\u2028\x85b"} for line in lines_of(base)]
    odd.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    assert verdict_of(base, odd)[1] < 0


def test_whole_numbers_are_the_same_label_with_and_without_a_point(tmp_path):
    paths = [tmp_path / "base.jsonl", tmp_path / "good.jsonl"]
    for path, number in zip(paths, (int, float), strict=True):
        rows = [{"id": i, "reference": i % 3, "prediction": number(i % 3)} for i in range(20)]
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert verdict_of(*paths)[1:] == (0, 1)


@pytest.mark.parametrize("field", ["reference", "prediction"])
def test_not_a_number_is_no_label(tmp_path, field):
    good, bad = write(tmp_path, "good", 0.8, n=6), write(tmp_path, "bad", 0.8, n=6, **{field: float("nan")})
    with pytest.raises(DataError, match=f"line 1: '{field}' is NaN, which is not a value; write null"):
        decide_predictions([good, bad])


@pytest.mark.parametrize("field", ["reference", "split", "group"])
def test_seeds_of_different_examples_are_refused(tmp_path, field):
    good = write(tmp_path, "good", 0.8, n=6, split="test", group="g")
    rows = [json.loads(line) for line in lines_of(good)]
    rows = [row | {"seed": 0} for row in rows] + [row | {"seed": 1, field: "dev"} for row in rows]
    (tmp_path / "seeds.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.raises(DataError, match="make them agree"):
        decide_predictions([good, tmp_path / "seeds.jsonl"])


def test_one_group_of_everything_cannot_be_halved(tmp_path):
    paths = [write(tmp_path, name, 0.8, n=20, group="g") for name in ("one", "two")]
    with pytest.raises(DataError, match="a group is never on both sides"):
        decide_predictions(paths)


def test_macro_f1_compares_what_it_shows_when_answers_are_no_labels(tmp_path):
    base, odd = write(tmp_path, "base", 0.6, split=halves), write(tmp_path, "odd", 0.8, seed=1, split=halves)
    rows = [json.loads(line) for line in lines_of(odd)]
    rows = [row if row["id"] % 5 else row | {"prediction": "none of them"} for row in rows]
    odd.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    task = PredictionTask(metric=Metric.MACRO_F1)
    decision = decide_predictions([base, odd], task=task, baselines=["base"], config=DecisionConfig(resamples=1000))
    shown = {item.name: item.test.value for item in decision.strategies}
    assert decision.comparisons[0].difference == pytest.approx(shown["odd"] - shown["base"])


def test_without_costs_and_baselines_nothing_is_adopted_that_is_not_shown_better(tmp_path):
    one, two = (write(tmp_path, name, 0.8, n=100, seed=seed) for seed, name in enumerate(("one", "two")))
    decision = decide_predictions([one, two])
    assert decision.comparisons[0].p > 0.05
    assert (decision.verdict, decision.winner) == ("tie", decision.choice.best_on_dev)
    assert "cannot be told apart" in summarize(decision).reason
    assert "the better bet on dev and test together" in summarize(decision).reason
    assert "cheapest" not in verdict(decision)
    assert decision.more_test_examples
    clear = decide_predictions([one, write(tmp_path, "three", 0.2, n=100)])
    assert (clear.verdict, clear.winner) == ("adopt", "one")


def test_without_baselines_the_cheapest_is_adopted_where_nothing_dearer_is_worth_more(tmp_path):
    one = write(tmp_path, "one", 0.9, cost=1e-5, split=halves)
    close = decide_predictions([one, write(tmp_path, "two", 0.89, seed=1, cost=1e-3, split=halves)])
    assert close.verdict == "inconclusive"  # nothing is shown, so nothing is adopted
    decision = decide_predictions([one, write(tmp_path, "three", 0.9, cost=1e-3, split=halves)])
    assert (decision.verdict, decision.winner) == ("adopt", "one")
    assert summarize(decision).reason.startswith("Adopt one, the cheapest: ")
    assert "nothing that it was compared with is better by more than 2.0 points" in summarize(decision).reason


def sure_and_dear(folder, *, n=1600, **fields):
    """Return a cheap strategy that is right where it is sure, six times of ten, and a dear one that is right on 90%."""
    rng = np.random.default_rng(5)
    easy = rng.random(n) < 0.6
    sure = np.where(easy, rng.uniform(0.8, 1, n), rng.uniform(0.3, 0.7, n))
    cheap = write(folder, "words", 1.0, n=n, cost=1e-6, latency_ms=2, split=halves, draw="none", **fields)
    dear = write(folder, "prompt", 0.9, n=n, seed=2, cost=1e-4, latency_ms=300, split=halves, draw="none", **fields)
    rows = [json.loads(line) for line in cheap.read_text().splitlines()]
    for row, knows, confidence in zip(rows, easy, sure, strict=True):
        row["confidence"] = float(confidence)
        if not knows:
            row["prediction"] = LABELS[int(rng.integers(0, 3))]
    cheap.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return cheap, dear


def test_a_cascade_of_two_files_wins_and_is_said(tmp_path, capsys):
    cheap, dear = sure_and_dear(tmp_path)
    arguments = ["decide", "--predictions", str(cheap), str(dear), "--baseline", "words", "--out", str(tmp_path)]
    assert main(arguments) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "words-else-prompt: words answers what it gives a probability of at least 0." in shown
    decision = from_json(json.loads((tmp_path / "decision.json").read_text(encoding="utf-8")))
    assert (decision.verdict, decision.winner) == ("adopt", "words-else-prompt")
    [trace] = decision.choice.cascades
    cheaply, dearly = ([json.loads(line) for line in path.read_text().splitlines()] for path in (cheap, dear))
    tested = [pair for pair in zip(cheaply, dearly, strict=True) if pair[0]["split"] == "test"]
    kept = [c["confidence"] >= trace.threshold for c, _ in tested]
    right = [(c if k else d)["prediction"] == c["reference"] for (c, d), k in zip(tested, kept, strict=True)]
    assert decision.result("words-else-prompt").test.value == pytest.approx(np.mean(right))
    on_dev = [row["confidence"] < trace.threshold for row in cheaply if row["split"] == "dev"]
    result = decision.result("words-else-prompt")
    assert trace.passed_on == pytest.approx(np.mean(on_dev))
    assert result.usd_per_1k_requests == pytest.approx(1000 * (1e-6 + np.mean(on_dev) * 1e-4))
    assert (result.p50_ms, result.p95_ms) == (2, 302)
    assert main([*arguments, "--no-cascades"]) == 0
    assert "words-else-prompt" not in capsys.readouterr().out


def test_without_a_cost_or_without_confidence_nothing_is_composed(tmp_path):
    cheap, dear = sure_and_dear(tmp_path)
    for field in ("confidence", "cost"):
        for path in (cheap, dear):
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            path.write_text("".join(json.dumps({k: v for k, v in row.items() if k != field}) + "\n" for row in rows))
        assert decide_predictions([cheap, dear], baselines=("words",)).choice.cascades == ()
        cheap, dear = sure_and_dear(tmp_path)


def test_a_cost_of_errors_decides_and_needs_the_cost_of_requests(tmp_path, capsys):
    weak = write(tmp_path, "tfidf", 0.6, cost=1e-6, split=halves)
    strong = write(tmp_path, "tuned", 0.9, seed=1, cost=1e-4, split=halves)
    arguments = ["decide", "--predictions", str(weak), str(strong), "--baseline", "tfidf"]
    assert main([*arguments, "--usd-per-error", "0.0001"]) == 0
    assert "Use tfidf: the lowest expected cost in all, right " in " ".join(capsys.readouterr().out.split())
    assert main(arguments) == 0
    said = " ".join(capsys.readouterr().out.split())
    # a request costs 0.000099 USD more and is right 0.395 more often on test: 0.025 cents
    assert "If a wrong answer costs you more than 0.025 cents, use tuned; below that, tfidf." in said
    unpriced = [write(tmp_path, name, 0.6, split=halves) for name in ("one", "two")]
    with pytest.raises(DataError, match="Errors have a cost, and the files give none of requests"):
        decide_predictions(unpriced, config=DecisionConfig(usd_per_error=1))
    with pytest.raises(RecipeError, match="names 'z', which is not a label of the task; use a, b, c"):
        decide_predictions([weak, strong], config=DecisionConfig(usd_per_error=1, error_costs={"z": {"a": 2}}))


def test_the_log_probability_of_a_written_answer_becomes_a_confidence(tmp_path):
    """Right answers have a mean token probability of about 0.9 over ten tokens, wrong ones of about 0.7."""
    drawn = np.random.default_rng(0).random(4000) < 0.9
    told = np.where(drawn, 10 * np.log(0.9), 10 * np.log(0.7)) * np.random.default_rng(1).uniform(0.5, 1.5, 4000)
    tuned = write(tmp_path, "tuned", 0.9, n=4000, split=halves, logprob=lambda i: float(told[i]))
    plain = write(tmp_path, "plain", 0.6, n=4000, seed=1, split=halves)
    shown = {item.strategy: item for item in decide_predictions([plain, tuned]).automation}
    assert (shown["tuned"].promise, shown["plain"].promise) == (Promise.SHOWN, Promise.NO_CONFIDENCE)
    assert shown["tuned"].share > 0.5
    assert shown["tuned"].calibrated.n == 2000
    bad = write(tmp_path, "bad", 0.6, n=4000, split=halves, logprob=0.1)
    with pytest.raises(DataError, match=r"line 1: 'logprob' is wrong \(input should be less than or equal to 0\)"):
        decide_predictions([plain, bad])


@pytest.mark.parametrize("written", [" {}\n", "\u200b{}", "{}\ufeff"])
def test_predictions_are_cleaned_as_references_are(tmp_path, written):
    good = write(tmp_path, "good", 1.0, split=halves, prediction=lambda i: written.format(LABELS[i % 3]))
    decision = decide_predictions([good, write(tmp_path, "poor", 0.8, split=halves)])
    assert decision.winner == "good"
    assert next(item.test.value for item in decision.strategies if item.name == "good") == 1.0


def test_answers_that_are_none_of_the_labels_are_told(tmp_path):
    strange = write(tmp_path, "strange", 1.0, split=halves, prediction=lambda i: f"{LABELS[i % 3].upper()}.")
    decision = decide_predictions([strange, write(tmp_path, "poor", 0.8, split=halves)])
    assert StrangeAnswers("strange", 400, 400, "A.") in decision.cautions
    summary = summarize(decision)
    assert any("400 of 400 answers of strange name no label of the references" in line for line in summary.warnings)
    assert from_json(json.loads(json.dumps(to_json(decision, summary)))).cautions == decision.cautions


@pytest.mark.parametrize(("written", "told"), [("{} ", 0), ("other", 0), ("upper", 3)])
def test_few_answers_that_write_a_label_in_another_way_are_told(tmp_path, written, told):
    def prediction(i):
        label = LABELS[i % 3]
        return (label.upper() if written == "upper" else written.format(label)) if i in (0, 200, 399) else label

    paths = [
        write(tmp_path, "few", 1.0, split=halves, prediction=prediction),
        write(tmp_path, "poor", 0.8, split=halves),
    ]
    strange = [item for item in decide_predictions(paths).cautions if isinstance(item, StrangeAnswers)]
    assert [(item.strange, item.n) for item in strange] == ([(told, 400)] if told else [])


def test_a_name_at_the_beginning_of_a_sentence_stays_as_its_file_is_called(tmp_path):
    useless = write(tmp_path, "useless", 1.0, split=halves, prediction="none of them")
    decision = decide_predictions([useless, write(tmp_path, "good", 0.9, split=halves)], baselines=["good"])
    told = summarize(decision)
    assert any(
        line.startswith("useless does no better") for line in (*told.warnings, *brief_of(decision, told).sentences)
    )
    assert "Useless" not in f"{told} {brief_of(decision, told)}"


def test_predictions_made_elsewhere_are_not_served(tmp_path):
    paths = [write(tmp_path, "good", 0.95, split=halves), write(tmp_path, "poor", 0.5, seed=1, split=halves)]
    for target in (None, 0.5):
        decision = decide_predictions(paths, task=PredictionTask(target=target), baselines=["poor"])
        step = brief_of(decision, summarize(decision)).next_step
        assert decision.verdict is Verdict.ADOPT
        assert "put it to use" in step
        assert "serve" not in step


def test_prediction_files_may_be_tables_of_any_sort(tmp_path):
    path = write(tmp_path, "good", 0.9, split=halves, cost=1e-4, confidence=lambda i: None if i % 9 else 0.5)
    rows = [json.loads(line) for line in lines_of(path)]
    for row in rows[:3]:
        row["prediction"] = None
    poor = write(tmp_path, "poor", 0.6, split=halves, cost=1e-6)
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    expected = decide_predictions([path, poor])
    path.unlink()
    pandas.DataFrame(rows).to_csv(tmp_path / "good.csv", sep=";", encoding="utf-16", index=False)
    assert decide_predictions([tmp_path / "good.csv", poor]).comparisons == expected.comparisons
