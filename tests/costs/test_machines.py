"""Whole machines, use by the second, tokens: what a measured strategy costs, against numbers worked out by hand."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from llmtl.costs import Billing, MemberUse, PriceConfig, Pricing, StatedCost, Tokens, requests_per_machine

PRICES = PriceConfig(usd_per_cpu_hour=0.1, usd_per_gpu_hour=1.0, requests_per_month=100_000, peak_factor=3, months=12)
# 20 requests per second
MODEL = MemberUse("qlora", 200, 10.0, 360.0, device="cuda")
BAG = MemberUse("tfidf", 1000, 1.0, 1.0)


def test_a_small_volume_needs_one_machine_for_all_hours_of_the_month() -> None:
    # 100,000 x 3 / (730 x 3600) = 0.114 requests per second at the peak, of 0.6 x 20
    running = Pricing(PRICES).running(MODEL)
    assert running.machines(100_000) == 1
    assert running.usd_per_month(100_000) == pytest.approx(730 * 1.0)
    assert Pricing(PRICES).per_1k(MODEL) == pytest.approx(730 / 100)
    assert Pricing(PRICES).total(MODEL) == pytest.approx(0.1 + 12 * 730)


def test_a_strategy_without_a_gpu_pays_a_whole_cpu_machine() -> None:
    assert Pricing(PRICES).per_month(BAG) == pytest.approx(73.0)


def test_machines_follow_peak_and_utilisation() -> None:
    # one machine carries 20 x 0.6 requests per second, a third of that on average
    assert requests_per_machine(0.05, PRICES) == pytest.approx(12 / 3 * 730 * 3600)
    full = requests_per_machine(0.05, PRICES)
    running = Pricing(PRICES).running(MODEL)
    assert (running.machines(full), running.machines(1.01 * full)) == (1, 2)
    idle = PRICES.model_copy(update={"utilisation": 0.3})
    assert Pricing(idle).running(MODEL).machines(full) == 2
    even = PRICES.model_copy(update={"peak_factor": 1})
    assert Pricing(even).running(MODEL).machines(3 * full) == 1


def test_two_gpus_cost_twice_as_much() -> None:
    assert Pricing(PRICES).per_month(replace(MODEL, devices=2)) == pytest.approx(2 * 730)


def test_serverless_is_paid_by_the_second_of_use_and_has_no_machines() -> None:
    prices = PRICES.model_copy(update={"billing": Billing.SERVERLESS, "usd_per_gpu_second": 0.0002})
    running = Pricing(prices).running(MODEL)
    assert running.machines(100_000) == 0
    assert running.usd_per_month(100_000) == pytest.approx(100_000 * 0.05 * 0.0002)
    # fitting runs on a rented machine all the same
    assert Pricing(prices).fitting(MODEL) == pytest.approx(0.1)


def test_a_hosted_model_is_paid_by_the_token_whatever_machines_cost() -> None:
    prices = PRICES.model_copy(
        update={"usd_per_million_prompt_tokens": 2.0, "usd_per_million_completion_tokens": 8.0, "usd_per_gpu_hour": 99}
    )
    hosted = MemberUse(
        "hosted", 10, 20.0, 0.0, device="hosted", prompt_tokens_per_request=100, completion_tokens_per_request=10
    )
    assert Pricing(prices).running(hosted).machines(10**7) == 0
    assert Pricing(prices).per_month(hosted) == pytest.approx(100_000 * (100 * 2 + 10 * 8) / 1e6)
    # a hosted strategy behind a local one needs the local one's machine too
    both = _Composed((replace(BAG, n=10, seconds=0.01), hosted))
    assert Pricing(prices).per_month(both) == pytest.approx(73.0 + 28.0)


def test_members_of_a_cascade_share_the_machine_that_needs_a_gpu() -> None:
    cascade = _Composed((replace(BAG, n=200, seconds=0.2), MODEL))
    running = Pricing(PRICES).running(cascade)
    assert running.usd_per_month(1000) == pytest.approx(730.0)
    assert running.requests_per_machine == pytest.approx(requests_per_machine(0.051, PRICES))


def test_what_somebody_states_needs_no_machine() -> None:
    stated = replace(MODEL, stated=StatedCost(0.001, 5.0))
    assert Pricing(PRICES).running(stated).machines(10**9) == 0
    assert Pricing(PRICES).total(stated) == pytest.approx(5 + 12 * 100)


def test_what_nobody_timed_has_no_cost() -> None:
    assert Pricing(PRICES).running(replace(BAG, seconds=None)) is None
    assert Pricing(PRICES).total(replace(BAG, seconds=None)) is None


def test_without_requests_nothing_runs() -> None:
    none = PRICES.model_copy(update={"requests_per_month": 0})
    assert Pricing(none).per_month(MODEL) == 0
    assert Pricing(none).per_1k(MODEL) == pytest.approx(1000 * 0.05 / 3600 * 3 / 0.6)


@pytest.mark.parametrize(
    ("requests", "machines"),
    [
        (100_000, (1, 1)),  # far from full: one machine, however fast it is exactly
        (10_000_000, (1, 2)),  # 95% full: a quarter slower, it is two
        (100_000_000, (8, 12)),  # 9.51 machines: 7.13 to 11.89
    ],
)
def test_how_exactly_seconds_are_known_matters_where_it_moves_a_machine(
    requests: float, machines: tuple[int, int]
) -> None:
    pricing = Pricing(PRICES.model_copy(update={"requests_per_month": requests}))
    for slower, number in zip((0.75, 1.25), machines, strict=True):
        assert pricing.horizon(MODEL, slower=slower) == pytest.approx(12 * 730 * number)
    by_use = Pricing(PRICES.model_copy(update={"billing": Billing.SERVERLESS}))
    assert by_use.horizon(MODEL, slower=1.25) == pytest.approx(1.25 * by_use.horizon(MODEL))


def test_what_nobody_stated_is_known_as_assumed_and_stays_so_in_a_kept_recipe() -> None:
    prices = PriceConfig(requests_per_month=100_000, gpu="a10g")
    assert not prices.is_assumed("requests_per_month")
    assert not prices.is_assumed("usd_per_gpu_hour")
    assert all(prices.is_assumed(name) for name in ("peak_factor", "utilisation", "usd_per_cpu_hour", "months"))
    kept = PriceConfig.model_validate(prices.model_dump(mode="json"))
    assert kept == prices
    assert not kept.is_assumed("requests_per_month")
    stated_later = PriceConfig.model_validate({**prices.model_dump(mode="json"), "peak_factor": 5})
    assert not stated_later.is_assumed("peak_factor")


def test_in_a_recipe_of_before_what_is_the_default_counts_as_assumed() -> None:
    before = {"cpu": None, "gpu": None, "usd_per_cpu_hour": 0.0816, "usd_per_gpu_hour": 1.006, "months": 12.0}
    prices = PriceConfig.model_validate({**before, "requests_per_month": 50_000.0})
    assert not prices.is_assumed("requests_per_month")
    assert prices.is_assumed("usd_per_gpu_hour")


def test_a_gpu_names_the_first_machine_that_has_it() -> None:
    assert PriceConfig(gpu="A10G").usd_per_gpu_hour == PriceConfig(gpu="g5.xlarge").usd_per_gpu_hour


@pytest.mark.parametrize(("field", "value"), [("utilisation", 0), ("utilisation", 1.5), ("peak_factor", 0.5)])
def test_peak_and_utilisation_have_bounds(field: str, value: float) -> None:
    with pytest.raises(ValidationError):
        PriceConfig(**{field: value})


class _Composed:
    """A strategy of these members."""

    n = 10
    seconds = train_seconds = stated = None
    device, devices = "cpu", 1
    prompt_tokens_per_request = cached_tokens_per_request = completion_tokens_per_request = 0.0
    fitting_tokens = Tokens()

    def __init__(self, members: tuple[MemberUse, ...]) -> None:
        self.members = members
