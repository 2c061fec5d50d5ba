"""What the playground shows, gathered from the live endpoint and, where there is one, from the run it serves.

Not covered: building the page (`llmtl.playground`).
"""

from typing import TYPE_CHECKING

from llmtl.address import free_port
from llmtl.data.corrections import CORRECTIONS_FILE
from llmtl.errors import RunError
from llmtl.pipeline.report import report_content
from llmtl.pipeline.run_folder import Run
from llmtl.playground import Endpoint, PlaygroundContent, StrategyCost
from llmtl.report import ReportContent

if TYPE_CHECKING:
    from llmtl.playground import Playground


def playground(
    endpoint: str,
    *,
    run: Run | None = None,
    api_key: str | None = None,
    host: str = "127.0.0.1",
    port: int = 7860,
    share: bool = False,
) -> "Playground":
    """Start the playground of the task served at `endpoint`; `close()` ends it.

    It listens on loopback unless `host` says otherwise, and nothing is shared publicly unless `share` is true. Whoever
    opens it logs in with `api_key`, if there is one. Raises `ServingError` when nothing answers at `endpoint` or the
    port is taken, and `RunError` for a run of another task.
    """
    content = playground_content(endpoint, run=run, api_key=api_key)
    port = free_port(host, port, option="--port")
    from llmtl.playground import launch  # gradio takes seconds: what is wrong is said before

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
        corrections=run.folder / CORRECTIONS_FILE,
    )


def _costs(run: Run, report: ReportContent) -> tuple[StrategyCost, ...]:
    """Return what each strategy takes, all measured offline alike.

    What a live endpoint was measured to do is told apart from these: a break-even between a served and an offline
    measurement would compare two ways of measuring, not two strategies.
    """
    measured = {item.strategy: item for item in report.evaluations if item.split == "dev"}
    ran = [result for result in report.decision.strategies if report.codes.get(result.name) in run.index.fits]
    return tuple(StrategyCost(result.name, result.role.value, measured[result.name]) for result in ran)
