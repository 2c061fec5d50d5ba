"""What the playground shows, gathered from the live endpoint and, where there is one, from the run it serves.

Not covered: building the page (`llmtl.playground`).
"""

from dataclasses import replace

from llmtl.costs import Pricing, Usage
from llmtl.decision.outcome import StrategyResult
from llmtl.errors import RunError
from llmtl.measured.evaluation import Evaluation
from llmtl.pipeline.report import report_content
from llmtl.pipeline.run_folder import Run
from llmtl.playground import Endpoint, Playground, PlaygroundContent, StrategyCost, launch
from llmtl.report import ReportContent


def playground(
    endpoint: str,
    *,
    run: Run | None = None,
    api_key: str | None = None,
    host: str = "127.0.0.1",
    port: int = 7860,
    share: bool = False,
) -> Playground:
    """Start the playground of the task served at `endpoint`; `close()` ends it.

    It listens on loopback unless `host` says otherwise, and nothing is shared publicly unless `share` is true. Raises
    `ServingError` when nothing answers at `endpoint` or the port is taken, and `RunError` for a run of another task.
    """
    content = playground_content(endpoint, run=run, api_key=api_key)
    return launch(content, host=host, port=port, share=share)


def playground_content(endpoint: str, *, run: Run | None = None, api_key: str | None = None) -> PlaygroundContent:
    """Gather what the playground of the task served at `endpoint` shows; without a run only what the server says.

    Raises `ServingError` when nothing answers there, and `RunError` when the run is of another task.
    """
    client = Endpoint(endpoint, api_key)
    try:
        task = client.task()
    finally:
        client.close()
    if run is None:
        return PlaygroundContent(base_url=client.base_url, task=task, api_key=api_key)
    if run.task.name != task.task:
        raise RunError(
            f"'{run.folder}' is a run of task '{run.task.name}' and {endpoint} serves '{task.task}'; name its own run."
        )
    report = report_content(run)
    return PlaygroundContent(
        base_url=client.base_url,
        task=task,
        api_key=api_key,
        report=report,
        costs=_costs(run, report),
        prices=run.recipe.prices,
    )


def _costs(run: Run, report: ReportContent) -> tuple[StrategyCost, ...]:
    """Return what each strategy takes, all measured offline alike; then, once more, the served one as it was served.

    A break-even between a served and an offline measurement would compare two ways of measuring, not two strategies.
    """
    measured = {item.strategy: item for item in (*run.evaluations, *run.left) if item.split == "dev"}
    ran = [result for result in run.decision.strategies if result.name in run.index.fits]
    costs = tuple(_cost(run, result, measured[result.name]) for result in ran)
    served = report.served
    if served is None:
        return costs
    live = next(cost for cost in costs if cost.name == served.strategy)
    rate = max((load.requests_per_second for load in served.loads), default=0.0)
    if rate <= 0:
        return costs
    return (
        *costs,
        replace(
            live,
            name=f"{served.strategy}, served",
            device=served.device,
            seconds_per_request=1 / rate,
            first=None if live.first is None else replace(live.first, seconds_per_request=0.0),
            paid_per_request=served.usd_per_1k_requests / 1000 if served.paid else 0.0,
        ),
    )


def _cost(run: Run, result: StrategyResult, measured: Evaluation) -> StrategyCost:
    *first, last = (_used(run, result, used) for used in measured.members or (measured,))
    return replace(last, first=first[0]) if first else last


def _used(run: Run, result: StrategyResult, measured: Usage) -> StrategyCost:
    pricing, hosted = Pricing(run.recipe.prices), measured.device == "hosted"
    usd = pricing.per_1k(measured) or 0.0
    return StrategyCost(
        name=result.name,
        role=result.role.value,
        device=measured.device,
        train_device=measured.device,
        seconds_per_request=(measured.seconds or 0.0) / measured.n,
        train_seconds=measured.train_seconds or 0.0,
        paid_per_request=usd / 1000 if hosted else 0.0,
        paid_for_fitting=pricing.fitting(measured) or 0.0 if hosted else 0.0,
    )
