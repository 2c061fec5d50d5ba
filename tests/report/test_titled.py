"""Strategies under their titles: wherever a field holds their names, and nowhere else."""

from dataclasses import replace

from llmtl.decision.label_care import FewPerLabel
from llmtl.decision.outcome import NoLatency
from llmtl.measured.endpoint import Disagreement, Parity
from llmtl.report.titled import _NAMES, titled_decision
from tests.support.report_factory import make_content

TITLE = "Fine-tuning with QLoRA"


def test_names_of_strategies_are_titles_however_deep_they_are():
    decision = titled_decision(replace(make_content().decision, cautions=(NoLatency(("qlora",)),)))
    assert TITLE in [item.name for item in decision.strategies]
    assert decision.cautions == (NoLatency((TITLE,)),)
    assert {name for pair in decision.comparisons for name in (pair.a, pair.b)} <= {
        item.name for item in decision.strategies
    }
    assert "qlora" not in decision.choice.expected_regret


def test_a_label_or_a_text_that_reads_like_a_strategy_stays():
    few = FewPerLabel((("qlora", 3),), 5, 2)
    assert titled_decision(replace(make_content().decision, cautions=(few,))).cautions == (few,)
    held = {name for each in (Disagreement, Parity) for name in each.__dataclass_fields__}
    assert not held & _NAMES
