"""Cascades: which are composed, the threshold and its score on dev, what the pair costs, the predictor of two."""

from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
import pytest

from llmtl.costs import Billing, PriceConfig, Pricing, StatedCost
from llmtl.decision.choice import choose
from llmtl.decision.config import DecisionConfig
from llmtl.decision.decide import decide
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics import score
from llmtl.strategies.cascade import (
    CHEAPER,
    MOST,
    Cascade,
    CascadePredictor,
    Composing,
    compose,
    confidence,
    pairs,
)
from llmtl.strategy import CascadeServed, LocalServed, Prediction, PromptServed, Role
from llmtl.task import Metric, Task

LABELS = ("a", "b", "c")
PRICES = PriceConfig(requests_per_month=100_000, usd_per_cpu_hour=0.1, usd_per_gpu_hour=2.0)
RULES = Composing(Metric.ACCURACY, 0.02, PRICES, may_be_first=lambda name: name == "tfidf")


def measured(name, rows, *, role, split="dev", seconds_each=0.001, **changes):
    """Return an evaluation; `rows` has the reference, the answer and its probability of each example."""
    predictions = tuple(
        Prediction(
            f"{split}-{i}",
            answer,
            {} if answer is None else {label: p if label == answer else (1 - p) / 2 for label in LABELS},
            failure="made up" if answer is None else None,
            prompt_tokens=10 + i % 7,
            completion_tokens=1,
            seconds=seconds_each * (1 + i % 3),
        )
        for i, (_, answer, p) in enumerate(rows)
    )
    references = tuple(reference for reference, _, _ in rows)
    latencies = tuple(1000 * seconds_each * (1 + i % 5) for i in range(20))
    made = Evaluation(
        strategy=name,
        role=role,
        split=split,
        predictions=predictions,
        references=references,
        scores=score(references, [item.answer for item in predictions], labels=LABELS, resamples=100),
        seconds=sum(item.seconds for item in predictions),
        p50_ms=float(np.percentile(latencies, 50)),
        p95_ms=float(np.percentile(latencies, 95)),
        train_seconds=3.0,
        prompt_tokens_per_request=fmean(item.prompt_tokens for item in predictions),
        cached_tokens_per_request=0.0,
        completion_tokens_per_request=1.0,
        peak_memory_gib=1.5,
        labels=LABELS,
        latencies_ms=latencies,
    )
    return replace(made, **changes)


def world(n, *, seed=0, split="dev", easy=0.6, dear=0.95):
    """Return a cheap strategy that knows which inputs it cannot answer, and a dear one that is right as often on all.

    On the easy inputs the cheap one is right, with a high probability; on the others it guesses.
    """
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    is_easy = rng.random(n) < easy
    guess = rng.integers(0, 3, n)
    cheap = [
        (LABELS[t], LABELS[t if e else g], rng.uniform(0.8, 0.99) if e else rng.uniform(0.34, 0.7))
        for t, e, g in zip(truth, is_easy, guess, strict=True)
    ]
    right = rng.random(n) < dear
    costly = [(LABELS[t], LABELS[t if r else (t + 1) % 3], 0.9) for t, r in zip(truth, right, strict=True)]
    first = measured("tfidf", cheap, role=Role.BASELINE, split=split)
    then = measured("zero-shot", costly, role=Role.PROMPTING, split=split, seconds_each=0.2, device="cuda")
    return first, then


def by_hand(cascade, first, then):
    """Return answers and USD of each request of a cascade, one example after another."""
    answers, usd = [], []
    whole = then.seconds / sum(item.seconds for item in then.predictions)
    for cheap, dear in zip(first.predictions, then.predictions, strict=True):
        sure = cheap.answer is not None and cheap.probabilities[cheap.answer] >= cascade.threshold
        answers.append(cheap.answer if sure else dear.answer)
        spent = cheap.seconds * PRICES.usd_per_cpu_hour / 3600
        usd.append(spent + (0 if sure else whole * dear.seconds * PRICES.usd_per_gpu_hour / 3600))
    return answers, usd


@pytest.mark.parametrize("seed", range(5))
def test_score_and_cost_are_those_recomputed_example_by_example(seed):
    dev, test = world(200, seed=seed), world(300, seed=100 + seed, split="test")
    [composed] = compose(dev, RULES)
    cascade = composed.cascade
    made = cascade.of(*test)
    answers, usd = by_hand(cascade, *test)
    assert [item.answer for item in made.predictions] == answers
    right = [answer == reference for answer, reference in zip(answers, test[0].references, strict=True)]
    assert made.scores["accuracy"].value == pytest.approx(fmean(right))
    assert Pricing(PRICES).per_1k_at_full_use(made) == pytest.approx(1000 * fmean(usd))
    assert Pricing(PRICES).fitting(made) == pytest.approx(sum(Pricing(PRICES).fitting(item) for item in test))
    tokens = [item.prompt_tokens for item in made.predictions]
    assert made.prompt_tokens_per_request == pytest.approx(fmean(tokens))
    assert made.seconds == pytest.approx(sum(item.seconds for item in made.predictions))
    assert (made.strategy, made.role, made.train_seconds) == ("tfidf-else-zero-shot", Role.CASCADE, 6.0)
    assert (made.peak_memory_gib, made.vram_gib) == (3.0, 1.5)


def test_the_least_that_keeps_the_score_is_passed_on():
    first, then = world(400)
    [composed] = compose([first, then], RULES)
    trace = composed.trace
    # the guesses are passed on, and little else: they are 40%, of which a third are right by chance
    assert 0.3 <= trace.passed_on <= 0.5
    assert 0.6 < composed.cascade.threshold < 0.9
    best = max(trace.first_score, trace.then_score, *(each.score for each in trace.tried))
    taken = next(each for each in trace.tried if each.threshold == composed.cascade.threshold)
    assert taken.score >= best - 0.01 - 1e-9
    assert all(each.score < best - 0.01 for each in trace.tried if each.passed_on < taken.passed_on)
    assert [each.passed_on for each in trace.tried] == sorted(each.passed_on for each in trace.tried)


def test_each_part_of_dev_has_the_threshold_that_the_others_chose():
    """Without any use in the confidence the search finds some by chance; the score on dev must not show it."""
    flattered, honest = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 3, 120)
        rows = [
            [(LABELS[t], LABELS[t if ok else (t + 1) % 3], p) for t, ok, p in zip(truth, oks, ps, strict=True)]
            for oks, ps in ((rng.random(120) < 0.6, rng.uniform(0.4, 1, 120)) for _ in range(2))
        ]
        first = measured("tfidf", rows[0], role=Role.BASELINE)
        then = measured("zero-shot", rows[1], role=Role.PROMPTING, seconds_each=0.2)
        for composed in compose([first, then], replace(RULES, margin=1e-9)):
            flattered.append(composed.cascade.of(first, then).scores["accuracy"].value - 0.6)
            honest.append(composed.dev(first, then).scores["accuracy"].value - 0.6)
    error = np.std(honest) / np.sqrt(len(honest))
    assert np.mean(flattered) > 3 * error
    assert abs(np.mean(honest)) < 2.5 * error


def test_dev_costs_what_is_served():
    first, then = world(200)
    [composed] = compose([first, then], RULES)
    _, usd = by_hand(composed.cascade, first, then)
    assert Pricing(PRICES).per_1k_at_full_use(composed.dev(first, then)) == pytest.approx(1000 * fmean(usd))


def test_no_cascade_where_a_member_alone_does_as_well():
    first, then = world(200, easy=1.0)
    assert compose([first, then], RULES) == ()
    none_sure = [(reference, "a", 0.5) for reference in first.references]
    assert compose([measured("tfidf", none_sure, role=Role.BASELINE), then], RULES) == ()


def test_no_cascade_on_a_handful_of_examples():
    assert compose(world(19), RULES) == ()


def test_the_second_member_costs_twice_as_much_at_least():
    first, then = world(200)
    cheap = Pricing(PRICES).per_1k_at_full_use(first)
    for factor, found in ((CHEAPER * 1.01, 1), (CHEAPER * 0.99, 0)):
        stated = StatedCost(factor * cheap / 1000, 0.0)
        assert len(pairs([first, replace(then, stated=stated)], RULES)) == found


def test_few_pairs_are_tried_of_those_that_can_be_served():
    first, then = world(200)
    others = [replace(then, strategy=f"prompt-{number}") for number in range(5)]
    other_first = replace(first, strategy="linear-probe")
    found = pairs([first, other_first, *others], RULES)
    assert [(a.strategy, b.strategy) for a, b in found] == [("tfidf", f"prompt-{n}") for n in range(MOST)]
    bare = replace(first, predictions=tuple(replace(item, probabilities={}) for item in first.predictions))
    assert pairs([bare, *others], RULES) == []


def test_what_fails_is_passed_on_and_further_seeds_are_paired():
    first, then = world(60)
    failed = replace(first.predictions[0], answer=None, probabilities={}, failure="made up")
    first = replace(first, predictions=(failed, *first.predictions[1:]))
    again = tuple(replace(item, answer="c") for item in then.predictions)
    made = Cascade("tfidf", "zero-shot", 0.0).of(first, replace(then, seed_predictions=(again,)))
    assert made.predictions[0].answer == then.predictions[0].answer
    assert [item.answer for item in made.seed_predictions[0]] == ["c", *(p.answer for p in first.predictions[1:])]


def test_the_latency_is_that_of_the_mixture():
    first, then = world(200)
    cascade = Cascade("tfidf", "zero-shot", 0.75)
    made = cascade.of(first, then)
    share = fmean(confidence(item) < 0.75 for item in first.predictions)
    rng = np.random.default_rng(0)
    fast, slow = np.array(first.latencies_ms), np.array(then.latencies_ms)
    drawn = [fast[i] + (slow[i] if rng.random() < share else 0) for i in rng.integers(0, 20, 200_000)]
    assert made.p50_ms == pytest.approx(np.percentile(drawn, 50), rel=0.02)
    assert made.p95_ms == pytest.approx(np.percentile(drawn, 95), rel=0.02)
    kept = cascade.of(replace(first, latencies_ms=()), replace(then, latencies_ms=()))
    assert (kept.p50_ms, kept.p95_ms) == (first.p50_ms, first.p95_ms + then.p95_ms)


def test_a_cascade_is_chosen_and_tested_like_any_other_strategy():
    """It scores like the dear member at less than half of its cost by use, on dev and on test."""
    config = DecisionConfig(resamples=1000)
    task = Task("routing", LABELS)
    dev, test = world(1500, seed=1, dear=0.9), world(1500, seed=2, dear=0.9, split="test")
    [composed] = compose(dev, RULES)
    on_dev, on_test = [*dev, composed.dev(*dev)], [*test, composed.cascade.of(*test)]
    prices = PRICES.model_copy(update={"billing": Billing.SERVERLESS})
    choice = choose(task, on_dev, config=config, prices=prices, written_at="then")
    decision = decide(task, choice, dev=on_dev, test=on_test, config=config, prices=prices)
    assert choice.strategy == decision.winner == "tfidf-else-zero-shot"
    result = decision.result(decision.winner)
    assert result.role is Role.CASCADE
    assert result.usd_per_1k_requests < 0.5 * decision.result("zero-shot").usd_per_1k_requests
    assert any({item.a, item.b} == {"tfidf-else-zero-shot", "zero-shot"} for item in decision.comparisons)


@dataclass(frozen=True)
class Fixed:
    """A predictor of made-up answers with the way it is served."""

    answers: dict
    form: object

    def predict(self, inputs, *, advance=lambda units: None):
        advance(len(inputs))
        rows = [self.answers[text] for text in inputs]
        return [Prediction(str(i), answer, {answer: p}, prompt_tokens=3) for i, (answer, p) in enumerate(rows)]

    def save(self, folder):
        raise AssertionError("members save themselves")

    def served(self):
        return self.form


def test_the_predictor_asks_the_second_only_for_what_the_first_is_not_sure_of(tmp_path):
    first = Fixed({"x": ("a", 0.9), "y": ("a", 0.5), "z": ("b", 0.7)}, LocalServed())
    then = Fixed({"y": ("c", 0.8)}, PromptServed())
    predictor = CascadePredictor(first, then, 0.7)
    counted = []
    made = predictor.predict(["x", "y", "z"], advance=counted.append)
    assert [(item.id, item.answer, item.prompt_tokens) for item in made] == [
        ("0", "a", 3),
        ("1", "c", 6),
        ("2", "b", 3),
    ]
    assert sum(counted) == 3
    predictor.save(tmp_path)
    assert predictor.served() == CascadeServed(LocalServed(), PromptServed(), 0.7)
    assert predictor.predict([]) == []
