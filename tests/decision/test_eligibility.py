"""Every constraint keeps out who breaks it, and who is not known to keep it."""

import pytest

from llmtl.costs import PriceConfig, StatedCost
from llmtl.decision.broken_limits import Broken, Constraint
from llmtl.decision.config import DecisionConfig
from llmtl.decision.eligibility import barred, broken_by
from llmtl.errors import RecipeError
from tests.support.decision_worlds import evaluation, exactly

LIMITS = {"max_usd_per_1k": 0.01, "max_p95_ms": 9.0, "max_memory_gib": 4.0, "max_vram_gib": 4.0}
FIELDS = {
    "max_p95_ms": "p95_ms",
    "max_memory_gib": "peak_memory_gib",
    "max_vram_gib": "peak_memory_gib",
}


PRICES = PriceConfig()


def measured(name, value):
    changes = {"stated": StatedCost(None if value is None else value / 1000, 0.0), "seconds": None}
    if name in FIELDS:
        changes = {FIELDS[name]: value}
    return evaluation("few-shot", exactly(0.8, 20), intervals=False, device="cuda", **changes)


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_the_most_that_is_allowed(name):
    config = DecisionConfig(**{name: LIMITS[name]})
    assert broken_by(measured(name, LIMITS[name]), config, PRICES) == ()
    above = 1.01 * LIMITS[name]
    assert broken_by(measured(name, above), config, PRICES) == (Broken(Constraint(name), LIMITS[name], above),)


@pytest.mark.parametrize("name", LIMITS)
def test_what_nobody_measured_keeps_no_limit(name):
    [broken] = broken_by(measured(name, None), DecisionConfig(**{name: LIMITS[name]}), PRICES)
    assert (broken.constraint, broken.value) == (name, None)
    assert broken_by(measured(name, None), DecisionConfig(), PRICES) == ()


@pytest.mark.parametrize(("device", "kept_out"), [("cuda", True), ("cpu", False), ("hosted", False)])
def test_gpu_memory_is_held_only_to_what_ran_on_a_gpu(device, kept_out):
    item = evaluation("few-shot", exactly(0.8, 20), intervals=False, device=device, peak_memory_gib=24.0)
    broken = broken_by(item, DecisionConfig(max_vram_gib=16), PRICES)
    assert broken == ((Broken(Constraint.VRAM_GIB, 16, 24.0),) if kept_out else ())


def test_gpu_memory_decides_who_may_be_chosen():
    items = [
        evaluation("tfidf", exactly(0.6, 20), intervals=False, peak_memory_gib=30.0),
        evaluation("few-shot", exactly(0.7, 20), intervals=False, device="cuda", peak_memory_gib=15.9),
        evaluation("qlora", exactly(0.9, 20), intervals=False, device="cuda", peak_memory_gib=16.1),
    ]
    assert list(barred(items, DecisionConfig(max_vram_gib=16), PRICES)) == ["qlora"]
    with pytest.raises(RecipeError, match="max_vram_gib is 8"):
        barred(items[1:], DecisionConfig(max_vram_gib=8), PRICES)
