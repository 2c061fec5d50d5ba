"""A bundle served and proven: started, warmed up, checked against what was measured, timed.

Not covered: run folders, `serving.json` and the playground (`llmtl.pipeline.serve`).
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from llmtl import address
from llmtl.costs import PriceConfig, usd_per_1k_requests
from llmtl.errors import DriftError, ServingError
from llmtl.left_overs import held, remove_abandoned
from llmtl.measured.endpoint import Load, Paid, Parity, Served
from llmtl.report import wording
from llmtl.report.serving import HOSTED
from llmtl.serving import announcement
from llmtl.serving.bundle.manifest import Bundle, Recorded
from llmtl.serving.bundle.provider import HostedWinner
from llmtl.serving.front.plan import FrontPlan, raise_descriptor_limit
from llmtl.serving.proof.load import measure_load, measure_paid
from llmtl.serving.proof.parity import check_parity, chosen
from llmtl.serving.proof.reading import Reading, reading_of
from llmtl.serving.proof.target import LiveEndpoint, paid_so_far, warm_up
from llmtl.serving.server.front_process import FrontProcess
from llmtl.serving.server.notice import Notice
from llmtl.serving.server.options import ServeOptions
from llmtl.serving.server.server_command import server_command
from llmtl.serving.server.supervisor import Supervisor
from llmtl.store import now

PAID_GATE = 50
"""The most recorded inputs that go through the parity check where a provider is paid for each."""
PAID_AT_ONCE = 8
"""Requests at a time when a provider is timed; fewer where the recipe allows fewer."""
_SOCKET_PREFIX = "llmtl-socket-"
_LONGEST_FOLDER = 70
"""Characters; the path of a Unix socket may have 107."""


@dataclass(frozen=True)
class ServingJob:
    """What is served and by what: a verified bundle in `folder`, its recorded predictions, the engine and the device.

    `engine` names the server with its version; `device` is `cpu` or `cuda`. `hosted` is where inputs are sent
    and paid, in case they are.
    """

    folder: Path
    bundle: Bundle
    recorded: tuple[Recorded, ...]
    engine: str
    device: str
    prices: PriceConfig
    hosted: HostedWinner | None = None


@dataclass(frozen=True)
class Live:
    """A server that passed its checks: where it is, what was measured (None when that was left out)."""

    endpoint: LiveEndpoint
    supervisor: Supervisor
    parity: Parity
    served: Served | None


def claim_ports(options: ServeOptions) -> ServeOptions:
    """Claim free ports for the options, 0 replaced by one; raises `ServingError` for one in use."""
    port = address.free_port(options.host, options.port, option="--port")
    playground = options.playground_port
    if playground is not None:
        if playground == port:
            raise ServingError(f"Port {port} is for the server; give the playground another with --playground-port.")
        playground = address.free_port(options.playground_host, playground, option="--playground-port")
    return replace(options, port=port, playground_port=playground)


@contextmanager
def live(job: ServingJob, options: ServeOptions, *, log: Path, notice: Notice) -> Iterator[Live]:
    """Return a context in which the server runs, after it passed the parity check; its end stops the server.

    Raises `ServingError` when it does not start or dies meanwhile, `DriftError` when its predictions differ from the
    recorded ones and drift was not accepted.
    """
    endpoint = LiveEndpoint(address.url(options.host, options.port), job.bundle.winner.model, options.api_key)
    text = example_text(job.recorded)
    policy = options.restarts
    raise_descriptor_limit()
    with _socket() as socket:
        supervisor = Supervisor(
            server_command(job.folder, job.bundle, options, device=job.device, socket=socket),
            url="http://localhost",
            log=log,
            notice=notice,
            policy=policy,
            warm_up=lambda: warm_up(endpoint, text, seconds=policy.warm_up_seconds),
            front=FrontProcess(front_plan(options, socket), log=log),
        )
        with supervisor:
            supervisor.start()
            yield _checked(job, options, endpoint, supervisor=supervisor, notice=notice)


@contextmanager
def _socket() -> Iterator[Path]:
    """Give a path for the server's Unix socket, in a folder that no other user can open; its length is limited."""
    place = tempfile.gettempdir()
    place = place if len(place) <= _LONGEST_FOLDER else "/tmp"
    remove_abandoned(Path(place).glob(f"{_SOCKET_PREFIX}*"))
    folder = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir=place))
    with held(folder):
        yield folder / "server"
    shutil.rmtree(folder, ignore_errors=True)


def front_plan(options: ServeOptions, socket: Path) -> FrontPlan:
    """Say what the front before the server at `socket` has to do."""
    return FrontPlan(
        host=options.host,
        port=options.port,
        socket=socket,
        own_names_only=not options.api_key and not options.access.hosts,
        limits=options.connections,
    )


def _checked(
    job: ServingJob, options: ServeOptions, endpoint: LiveEndpoint, *, supervisor: Supervisor, notice: Notice
) -> Live:
    """Return the started server once it has passed its checks; what it died of is the error where it did."""
    try:
        parity, served = _proven(job, options, endpoint, warm=example_text(job.recorded), notice=notice)
    except DriftError:
        raise
    except ServingError as error:
        raise supervisor.explained(error) from None
    return Live(endpoint, supervisor, parity, served)


def example_text(recorded: tuple[Recorded, ...]) -> str:
    """Pick a short recorded input, for the warm-up and the printed examples."""
    usable = [row.text for row in recorded if row.prediction is not None and "\n" not in row.text]
    return min(usable[:50], key=lambda text: (abs(len(text) - 30), text), default="hello")


def _proven(
    job: ServingJob, options: ServeOptions, endpoint: LiveEndpoint, *, warm: str, notice: Notice
) -> tuple[Parity, Served | None]:
    """Return what the parity check found and, unless that is left out, what was measured.

    A hosted model is timed on the inputs of the check, before it: the check then reads the replies that the server
    keeps, and nothing is paid twice. `warm` has been asked already.
    """
    rows = _to_compare(job, options, notice)
    loads: tuple[Load, ...] = ()
    try:
        if job.hosted is not None and options.measure:
            loads = _paid_load(job.hosted, endpoint, rows, warm=warm, notice=notice)
        parity = _gate(job, options, endpoint, rows=rows, notice=notice)
    finally:
        paid = _say_paid(endpoint, notice) if job.hosted is not None else None
    if not options.measure:
        return parity, None
    if job.hosted is None:
        texts = [row.text for row in job.recorded if row.prediction is not None]
        loads = measure_load(endpoint, texts, notice=notice)
    _say_loads(loads, notice)
    return parity, _served(job, parity, loads=loads, paid=paid)


def _paid_load(
    hosted: HostedWinner, endpoint: LiveEndpoint, rows: Sequence[Recorded], *, warm: str, notice: Notice
) -> tuple[Load, ...]:
    """Return how long the provider took for the inputs that it was not asked for yet; nothing where there are none."""
    new = [text for text in dict.fromkeys(row.text for row in rows if row.prediction is not None) if text != warm]
    return measure_paid(endpoint, new, notice=notice, at_once=min(PAID_AT_ONCE, hosted.endpoint.concurrency))


def _say_paid(endpoint: LiveEndpoint, notice: Notice) -> Paid | None:
    """Return what the provider was paid, which is said."""
    paid = paid_so_far(endpoint)
    if paid is not None:
        notice.say(announcement.paid_line(paid))
    return paid


def _gate(
    job: ServingJob, options: ServeOptions, endpoint: LiveEndpoint, *, rows: tuple[Recorded, ...], notice: Notice
) -> Parity:
    done = 0

    def advance(units: int) -> None:
        nonlocal done
        done += units
        notice.status("Parity with what was measured", f"{done} of {len(rows)}")

    advance(0)
    reading = reading_of(job.bundle, job.folder)
    parity = check_parity(endpoint, rows, reading, advance=advance)
    notice.clear()
    notice.say(announcement.parity_line(parity, labels=reading.has_probabilities))
    for line in announcement.disagreement_lines(parity.disagreements):
        notice.say(line)
    if not parity.passed:
        _refuse(parity, reading, accept=options.accept_drift, notice=notice)
    return parity


def _to_compare(job: ServingJob, options: ServeOptions, notice: Notice) -> tuple[Recorded, ...]:
    """Return the recorded inputs for the parity check: few where each is paid for, which is said."""
    if job.hosted is None:
        return chosen(job.recorded, options.gate)
    rows = chosen(job.recorded, PAID_GATE if options.gate is None else min(options.gate, PAID_GATE))
    usd = job.hosted.usd_per_request * len(rows)
    timed = "to be timed and for the parity check" if options.measure else "for the parity check"
    notice.say(f"Inputs go to {job.hosted.where}: {len(rows)} now {timed}, about {usd:.4f} USD.")
    return rows


def _refuse(parity: Parity, reading: Reading, *, accept: bool, notice: Notice) -> None:
    """Raise `DriftError`, or say that drift was accepted."""
    far = sum(not item.close for item in parity.disagreements)
    how = f"labels, {wording.count(far)} of them no near tie" if reading.has_probabilities else "answers"
    found = (
        f"The live server disagrees with {wording.count(len(parity.disagreements))} of "
        f"{wording.count(parity.compared)} recorded {how}"
    )
    if not accept:
        raise DriftError(f"{found}; export the bundle again, or serve it all the same with --accept-drift.")
    notice.say(f"{found}; served all the same, as asked.")


def _say_loads(loads: Sequence[Load], notice: Notice) -> None:
    for load in loads:
        notice.say(announcement.load_line(load))


def _served(job: ServingJob, parity: Parity, *, loads: tuple[Load, ...], paid: Paid | None) -> Served | None:
    """Return what was measured, or None where nothing was."""
    if not loads:
        return None
    return Served(
        task=job.bundle.task.name,
        strategy=job.bundle.winner.name,
        engine=job.engine,
        device=HOSTED if job.hosted is not None else job.device,
        measured_at=now(),
        parity=parity,
        loads=loads,
        usd_per_1k_requests=_usd(loads, job, paid),
        accepted_drift=not parity.passed,
        paid=paid,
        int8=job.bundle.int8,
    )


def _usd(loads: tuple[Load, ...], job: ServingJob, paid: Paid | None) -> float:
    """Return the USD of 1,000 requests: what a provider was paid, or the machine's at the best rate reached."""
    if job.hosted is not None:
        if paid is None or not paid.requests:
            return 1000 * job.hosted.usd_per_request
        return paid.usd_per_1k_requests * (1.0 if job.bundle.first is None else job.bundle.first.passed_on)
    best = max(load.requests_per_second for load in loads)
    return usd_per_1k_requests(1 / best, device=job.device, prices=job.prices)
