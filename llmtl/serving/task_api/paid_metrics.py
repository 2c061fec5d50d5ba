"""What a provider was paid, for Prometheus, and read back from there.

    llmtl_hosted_requests_total    requests that the provider answered, replies kept from before left out
    llmtl_hosted_usd_total         what their tokens cost at the recipe's prices

Both count from the start of the server's process. Not covered: the provider's bill, which has the last word.
"""

from collections.abc import Callable, Iterable

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from llmtl.measured.endpoint import Paid

_REQUESTS, _USD = "llmtl_hosted_requests", "llmtl_hosted_usd"


class PaidMetrics(Collector):
    """Asks `paid` each time somebody looks; nothing is shown while that is None."""

    def __init__(self, paid: Callable[[], Paid | None]) -> None:
        self._paid = paid

    def collect(self) -> Iterable[Metric]:
        """Yield both counters."""
        paid = self._paid()
        if paid is not None:
            yield CounterMetricFamily(_REQUESTS, "Requests that the provider answered.", value=paid.requests)
            yield CounterMetricFamily(_USD, "USD for the tokens of these requests.", value=paid.usd)


def read_paid(metrics: str) -> Paid | None:
    """Read what the text of a server's `/metrics` says was paid, or None when it says nothing of it."""
    values = {
        sample.name: sample.value for family in text_string_to_metric_families(metrics) for sample in family.samples
    }
    requests, usd = values.get(f"{_REQUESTS}_total"), values.get(f"{_USD}_total")
    return None if requests is None or usd is None else Paid(int(requests), usd)
