from pathlib import Path
from urllib.parse import urlsplit

import pytest

from llmtl.costs import PriceConfig, read_table
from llmtl.costs.config import DEFAULT_CPU, DEFAULT_GPU, DEFAULT_SERVERLESS_CPU, DEFAULT_SERVERLESS_GPU
from llmtl.errors import MissingFileError, RecipeError
from llmtl.recipe import validate

OWN = """
machines:
  ours: {usd_per_hour: 0.5, what: the machine in the cellar, as_of: 2026-01-02, source: "https://example.com/prices"}
models:
  theirs: {prompt: 1.0, completion: 2.0, what: a model, as_of: 2026-01-02, source: "https://example.com/prices"}
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "mine.yaml").write_text(OWN)
    return str(tmp_path / "mine.yaml")


def test_the_defaults_are_the_tables_entries() -> None:
    table, prices = read_table(), PriceConfig()
    assert table.machine(DEFAULT_CPU).usd_per_hour == prices.usd_per_cpu_hour
    assert table.machine(DEFAULT_GPU).usd_per_hour == prices.usd_per_gpu_hour
    assert table.serverless_machine(DEFAULT_SERVERLESS_CPU).usd_per_second == prices.usd_per_cpu_second
    assert table.serverless_machine(DEFAULT_SERVERLESS_GPU).usd_per_second == prices.usd_per_gpu_second


def test_every_entry_is_dated_and_sourced() -> None:
    table = read_table()
    assert len(table.machines) >= 10
    assert len(table.models) >= 4
    sellers = "aws.amazon.com modal.com lambda.ai www.runpod.io nebius.com platform.openai.com azure.microsoft.com"
    for entry in [*table.machines.values(), *table.serverless.values(), *table.models.values()]:
        assert entry.as_of.year >= 2026
        assert urlsplit(entry.source).hostname in {*sellers.split(), "www.anthropic.com"}


def test_a_named_machine_and_model_fill_in_their_prices() -> None:
    prices = PriceConfig(gpu="runpod/h100-sxm", hosted="azure/gpt-5-mini")
    assert prices.usd_per_gpu_hour == 2.69
    assert prices.usd_per_million_prompt_tokens == 0.25
    assert prices.usd_per_million_cached_tokens == 0.025
    assert prices.usd_per_million_completion_tokens == 2.0
    assert prices.usd_per_cpu_hour == PriceConfig().usd_per_cpu_hour


def test_a_given_price_wins_so_that_a_kept_recipe_needs_no_table(own: str) -> None:
    prices = PriceConfig(gpu="ours", hosted="theirs", table=own)
    assert (prices.usd_per_gpu_hour, prices.usd_per_million_cached_tokens) == (0.5, 1.0)
    Path(own).unlink()
    assert PriceConfig.model_validate(prices.model_dump(mode="json")) == prices
    assert PriceConfig(gpu="g5.xlarge", usd_per_gpu_hour=3).usd_per_gpu_hour == 3


def test_unknown_names_and_bad_tables_say_how_to_mend_it(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no machine 'g5.xlarg' \(did you mean 'g5.xlarge'\?\)"):
        validate(PriceConfig, {"gpu": "g5.xlarg"}, source="The recipe")
    with pytest.raises(RecipeError, match="there is no price table at"):
        validate(PriceConfig, {"gpu": "g5.xlarge", "table": str(tmp_path / "none.yaml")}, source="The recipe")
    with pytest.raises(MissingFileError, match="There is no price table"):
        read_table(str(tmp_path / "none.yaml"))
    (tmp_path / "bad.yaml").write_text("machines: {x: {usd_per_hour: 1}}")
    with pytest.raises(RecipeError, match=r"machines.x.what, field required"):
        read_table(str(tmp_path / "bad.yaml"))


def test_a_table_that_nothing_is_read_from_is_refused(own: str) -> None:
    with pytest.raises(RecipeError, match="set cpu, gpu or hosted"):
        validate(PriceConfig, {"table": own}, source="The recipe")
