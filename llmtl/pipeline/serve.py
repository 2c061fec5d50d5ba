"""`llmtl serve`: from a run folder, or a bundle, to a proven endpoint with its playground, until told to stop.

Not covered: how a server is started, checked and timed (`llmtl.serving.live`).
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from llmtl import address
from llmtl.costs import PriceConfig
from llmtl.errors import BundleError, LlmtlError, MissingFileError, MissingPackageError, RunError
from llmtl.hardware import gaps, inspect
from llmtl.left_overs import held, remove_abandoned
from llmtl.measured.endpoint import SERVED, SERVING_FILE, Served
from llmtl.packages import LOCAL, require
from llmtl.pipeline.run_folder import Run, load_run, require_written
from llmtl.pipeline.run_format import DECISION, RECIPE, reseal
from llmtl.progress import Progress
from llmtl.serving.announcement import announcement
from llmtl.serving.bundle.local import require_strategy
from llmtl.serving.bundle.manifest import CHECKSUMS, MANIFEST, Bundle, Weights
from llmtl.serving.bundle.provider import read_hosted, require_key, require_meant
from llmtl.serving.bundle.read import is_bundle, open_bundle, read_recorded, require_bounded_wording
from llmtl.serving.bundle.signature import read_public_key, require_signature
from llmtl.serving.live import Live, ServingJob, claim_ports, example_text, live
from llmtl.serving.server.notice import Notice
from llmtl.serving.server.options import ServeOptions
from llmtl.serving.server.process import stoppable
from llmtl.serving.server.server_command import ServerCommand, server_command
from llmtl.serving.task_api.interface import OPEN
from llmtl.store import Store, write_json
from llmtl.strategy import Retrieval
from llmtl.version import __version__

LOG_PREFIX = "llmtl-serve-"
SLOW_ADAPTER = "On a CPU vLLM is several times faster with --merge, which serves the tuned model without its base."


@dataclass(frozen=True)
class Target:
    """What to serve: a bundle and, where it comes from one, its run."""

    folder: Path
    bundle: Bundle
    run: Run | None

    @property
    def home(self) -> Path:
        """Return the folder that keeps what was measured."""
        return self.run.folder if self.run else self.folder


def serve(target: Target, options: ServeOptions, *, notice: Notice) -> None:
    """Serve until a signal ends it; returns after the server has stopped.

    Raises `ServingError`, `DriftError`, `HostedError` or `MissingPackageError`, in one line each, when there is nothing
    to announce or the server cannot be kept alive.
    """
    options = claim_ports(options)
    job = _job(target)
    if job.device == "cpu" and target.run and target.bundle.winner.weights is Weights.ADAPTER:
        notice.say(SLOW_ADAPTER)
    with _log(target, options) as log, stoppable(), live(job, options, log=log, notice=notice) as server:
        _keep(target, server.served, notice)
        with _playground(target, server, options, notice) as playground:
            try:
                _announce(job, server, playground, notice)
                server.supervisor.watch()
            except KeyboardInterrupt:
                notice.say("stopping")
    notice.say("stopped")


def command_for(target: Target, options: ServeOptions) -> ServerCommand:
    """Return the command that `serve` would supervise."""
    return server_command(target.folder, target.bundle, options, device=_engine(target.bundle).device)


def find_target(
    path: Path,
    *,
    strategy: str | None = None,
    merge: bool = False,
    int8: bool = False,
    signed_by: Path | None = None,
    progress: Progress | None = None,
) -> Target:
    """Return what `path`, a run folder or a bundle, has to serve; a run is exported first where that is needed.

    `signed_by` is the public key of whoever must have signed the bundle. Raises `RunError` for anything else, and
    `BundleError` for a bundle that is incomplete, was changed, or is not signed by that key.
    """
    key = read_public_key(signed_by) if signed_by is not None else None
    if not path.is_dir():
        raise MissingFileError(f"There is no folder '{path}'; name a run folder or a bundle.")
    run = any((path / name).exists() for name in (DECISION, RECIPE))
    damaged = any((path / name).exists() for name in (MANIFEST, CHECKSUMS)) and not run
    if is_bundle(path) or damaged:
        if strategy or merge or int8:
            raise BundleError("A bundle is served as it is; use --strategy, --merge and --int8 with a run folder.")
        if key is not None:
            require_signature(path, key)
        return Target(path, open_bundle(path, progress=progress), run=None)
    if key is not None:
        raise BundleError(
            f"'{path}' is a run, which nobody signs; serve a bundle of `llmtl export --sign` with --verify."
        )
    if not (path / DECISION).is_file():
        unfinished = RunError(f"'{path}' has no verdict ({DECISION} is missing); finish the run with `llmtl run`.")
        require_written(path, unfinished)
        raise unfinished
    return _exported(load_run(path), strategy=strategy, merge=merge, int8=int8, progress=progress)


def _exported(run: Run, *, strategy: str | None, merge: bool, int8: bool, progress: Progress | None) -> Target:
    """Return the run's bundle, written unless one of the same is there; the winner's is `RUN/bundle`."""
    from llmtl.pipeline.export import BUNDLE_FOLDER, export  # imports every strategy: seconds

    form = [strategy] if strategy and strategy != run.decision.winner else []
    form += [name for name, asked in (("merged", merge), ("int8", int8)) if asked]
    folder = run.folder / "-".join([BUNDLE_FOLDER, *form])
    export(run, folder, strategy=strategy, merge=merge, int8=int8, progress=progress)
    return Target(folder, open_bundle(folder, verify=False), run)


def _job(target: Target) -> ServingJob:
    engine = _engine(target.bundle)
    require_bounded_wording(target.bundle, target.folder)
    hosted = None
    if target.bundle.winner.weights is Weights.HOSTED:
        hosted = read_hosted(target.folder, os.environ)
        if target.run is None:
            require_meant(hosted, os.environ)
        require_key(hosted, os.environ)
    return ServingJob(
        folder=target.folder,
        bundle=target.bundle,
        recorded=read_recorded(target.folder),
        engine=engine.name,
        device=engine.device,
        prices=target.run.recipe.prices if target.run else PriceConfig(),
        hosted=hosted,
    )


@dataclass(frozen=True)
class _Engine:
    """What serves: its name with its version, and the device it runs on."""

    name: str
    device: str


def _engine(bundle: Bundle) -> _Engine:
    """Return what serves the bundle here; raises `MissingPackageError` when it needs vLLM and that cannot run."""
    require_packages(bundle)
    require_strategy(bundle)
    if bundle.int8 is not None and bundle.int8.taken:
        return _Engine(f"llmtl {__version__} with onnxruntime {version('onnxruntime')} in int8", "cpu")
    if bundle.base is None:
        return _Engine(f"llmtl {__version__}", "cpu")
    if not bundle.on_vllm:
        require(f"Serving '{bundle.winner.name}'", *LOCAL)
        return _Engine(f"llmtl {__version__}", inspect().device)
    hardware = inspect()
    [vllm] = [engine for engine in hardware.engines if engine.name == "vllm"]
    if not vllm.runs:
        command = next(gap.command for gap in gaps(hardware) if gap.what.startswith("vLLM"))
        raise MissingPackageError(f"vLLM cannot run here: {vllm.why_not}; install it with `{command}`.")
    return _Engine(f"vllm {vllm.version}", hardware.device)


def require_packages(bundle: Bundle) -> None:
    """Raise `MissingPackageError` when a strategy of the bundle embeds messages by a package that is not installed."""
    embeds = any(each.retrieved and each.retrieval is Retrieval.SENTENCES for each in bundle.strategies)
    if embeds:
        require("Looking demonstrations up by sentence embeddings", "sentence_transformers")


@contextmanager
def _log(target: Target, options: ServeOptions) -> Iterator[Path]:
    """Give the server's log file, empty: in the run or, for a bundle, which takes no other files, in a new folder.

    That folder is deleted when the server was stopped in order, else by whoever serves a bundle next.
    """
    name = f"server-{options.port}.log"
    if target.run:
        log = target.run.folder / name
        log.write_bytes(b"")
        yield log
        return
    remove_abandoned(Path(tempfile.gettempdir()).glob(f"{LOG_PREFIX}*"))
    folder = Path(tempfile.mkdtemp(prefix=LOG_PREFIX))
    with held(folder):
        log = folder / name
        log.write_bytes(b"")
        yield log
    shutil.rmtree(folder, ignore_errors=True)


def _keep(target: Target, served: Served | None, notice: Notice) -> None:
    """Write what was measured to `serving.json`, and the run's report again; the server goes on where that fails."""
    if served is None:
        return
    try:
        with Store(target.run.folder).claimed() if target.run else nullcontext():
            write_json(target.home / SERVING_FILE, SERVED.dump_python(served, mode="json"))
            if target.run:
                reseal(target.run.folder)
        if target.run:
            notice.status("Report: writing")
            from llmtl.pipeline.report import refresh_report

            refresh_report(target.run.folder)
            notice.clear()
            notice.say(f"Report, with the served cost and latency: {target.run.report}")
    except RunError as error:  # another run writes there, or changed something meanwhile
        notice.clear()
        notice.say(f"What was measured is not in the report: {error}")
    except OSError as error:
        notice.clear()
        notice.say(f"What was measured is not kept: '{target.home}' cannot be written ({error.strerror}).")


@contextmanager
def _playground(target: Target, server: Live, options: ServeOptions, notice: Notice) -> Iterator[str | None]:
    """Return a context in which the playground runs; its value is its address, or None when it was left out."""
    if options.playground_port is None:
        yield None
        return
    notice.status("Playground: starting")  # before the imports, which take seconds
    from llmtl.pipeline.playground import playground_content
    from llmtl.playground import launch

    try:
        content = playground_content(server.endpoint.url, run=target.run, api_key=options.api_key)
        playground = launch(content, host=options.playground_host, port=options.playground_port, share=options.share)
    except LlmtlError as error:
        notice.clear()
        notice.say(f"Warning: the endpoint is served without a playground. {error}")
        yield None
        return
    notice.clear()
    try:
        shared = f", shared publicly at {playground.share_url}" if playground.share_url else ""
        login = " (its login is the API key)" if options.api_key else ""
        yield f"{playground.url}{shared}{login}"
    finally:
        playground.close()


def _announce(job: ServingJob, server: Live, playground: str | None, notice: Notice) -> None:
    lines = announcement(
        server.endpoint,
        strategy=job.bundle.winner.name,
        engine=job.engine,
        text=example_text(job.recorded),
        playground=playground,
    )
    notice.say("")
    for line in lines:
        notice.say(line)


def open_warnings(options: ServeOptions) -> list[str]:
    """Say who can reach which port from other machines, one line per port; nothing where none can be reached."""
    key = options.api_key is not None
    said = []
    if not address.is_loopback(options.host):
        where = f"The endpoint on {options.host}:{options.port}"
        said.append(
            f"{where} answers whoever reaches it and sends the API key; {', '.join(OPEN)} need no key."
            if key
            else f"{where} answers whoever reaches it: set --api-key, or serve on 127.0.0.1."
        )
    if options.playground_port is None:
        return said
    if not address.is_loopback(options.playground_host):
        where = f"The playground on {options.playground_host}:{options.playground_port}"
        said.append(
            f"{where} lets in whoever reaches it and gives the API key, which crosses the network in the clear: put a "
            "proxy with TLS in front."
            if key
            else f"{where} lets in whoever reaches it, and asks the model for them: set --api-key, or leave "
            "--playground-host out."
        )
    if options.share:
        who = "and gives the API key" if key else "without a login: set --api-key"
        said.append(f"--share opens the playground to the internet, for whoever finds its address {who}.")
    return said
