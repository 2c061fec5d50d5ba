"""What a user may choose about serving.

Not covered: what was measured and is served (`llmtl.serving.bundle`).
"""

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from llmtl.errors import InputError
from llmtl.serving.front.plan import ConnectionLimits
from llmtl.serving.task_api.access import Access
from llmtl.serving.task_api.interface import RequestLimits

OURS = (
    "--allow-credentials",
    "--allowed-headers",
    "--allowed-methods",
    "--allowed-origins",
    "--api-key",
    "--chat-template",
    "--config",
    "--host",
    "--lora-modules",
    "--middleware",
    "--model",
    "--port",
    "--root-path",
    "--served-model-name",
    "--ssl-certfile",
    "--ssl-keyfile",
    "--uds",
)
"""vLLM arguments that would make it serve something else, or elsewhere, than llmtl supervises and announces."""
CODE = (
    "--code-revision",
    "--config-format",
    "--hf-overrides",
    "--io-processor-plugin",
    "--load-format",
    "--logits-processors",
    "--reasoning-parser-plugin",
    "--tokenizer-mode",
    "--tool-parser-plugin",
    "--trust-remote-code",
    "--worker-cls",
    "--worker-extension-cls",
)
"""vLLM arguments that would have it run code from a model or a file, or unpickle weights."""


LAST_PORT = 65535
EVERY = "all"


def _or_all(value: Any) -> Any:
    """Read `all` as None."""
    return None if value == EVERY else value


@dataclass(frozen=True)
class RestartPolicy:
    """How long to wait for the server and how often to start it again.

    The n-th restart in a row comes after `first_delay_seconds` x 2^(n-1), at most `longest_delay_seconds`; a server
    that ran for `forgiven_after_seconds` starts counting anew. One that works but does not answer `/health` is
    busy, for `busy_seconds` at most.
    """

    start_seconds: float = 1800.0
    warm_up_seconds: float = 180.0
    grace_seconds: float = 10.0
    max_restarts: Annotated[int, Field(ge=0, description="Restarts after crashes in a row.")] = 5
    no_spare: Annotated[
        bool,
        Field(description="Have no second vLLM imported for a restart on a CPU, which takes 1 GiB where 4 are free."),
    ] = False
    first_delay_seconds: float = 1.0
    longest_delay_seconds: float = 30.0
    forgiven_after_seconds: float = 600.0
    health_every_seconds: float = 1.0
    health_seconds: float = 20.0
    unhealthy_after: int = 3
    busy_seconds: float = 900.0

    def delay_seconds(self, restart: int) -> float:
        """Compute the seconds to wait before the n-th restart in a row, counted from 1."""
        return min(self.longest_delay_seconds, self.first_delay_seconds * 2.0 ** (restart - 1))


@dataclass(frozen=True)
class ServeOptions:
    """Where to serve, for whom, and how strictly.

    `playground_port` None leaves the playground out; `gate` None checks all recorded inputs; `extra` goes to vLLM as it
    is.

    Raises `InputError` for an extra argument that llmtl sets itself, and for a key that no client could send.
    """

    host: Annotated[str, Field(description="The address to listen on; 127.0.0.1 is this machine only.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=LAST_PORT, description="The endpoint's port; 0 takes any free one.")] = 8000
    playground_port: Annotated[
        int | None, Field(ge=0, le=LAST_PORT, description="The playground's port; 0 takes any free one.")
    ] = 7860
    playground_host: Annotated[
        str, Field(description="The address that the playground listens on, whatever --host is.")
    ] = "127.0.0.1"
    api_key: str | None = field(default=None, repr=False)
    gate: Annotated[
        int | None,
        Field(ge=1, description="Recorded test inputs to check: a number, or all."),
        BeforeValidator(_or_all),
    ] = 200
    accept_drift: Annotated[bool, Field(description="Serve even if predictions differ from the recorded ones.")] = False
    measure: bool = True
    share: Annotated[bool, Field(description="Share the playground publicly, through Gradio.")] = False
    limits: RequestLimits = field(default_factory=RequestLimits)
    access: Access = field(default_factory=Access)
    restarts: RestartPolicy = RestartPolicy()
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.api_key is not None:
            _require_sendable(self.api_key)
        for argument in self.extra:
            name = argument.partition("=")[0].replace("_", "-")
            if len(name) > len("--x") and any(
                each.startswith(name) for each in OURS
            ):  # argparse takes what begins a name
                raise InputError(f"'{name}' cannot be passed on to vLLM: llmtl sets it; see `llmtl serve --help`.")
            if len(name) > len("--x") and any(each.startswith(name) for each in CODE):
                raise InputError(
                    f"'{name}' cannot be passed on to vLLM: it could run a model's own code; leave it out."
                )
        if self.gate is not None and self.gate < 1:
            raise InputError(f"The parity check needs at least one recorded input, got {self.gate}; give 200 or all.")


def _require_sendable(key: str) -> None:
    """Raise `InputError` for a key that is empty, which would let everybody in, or that no header carries as it is."""
    if not key.strip():
        raise InputError(
            "The API key is empty, which would let everybody in; give one (`openssl rand -hex 32` makes one), or leave "
            "--api-key out."
        )
    if not (key.isascii() and key.isprintable()) or key != key.strip():
        raise InputError(
            "The API key has a blank at an end, a line break, or a character outside ASCII, which clients cannot send; "
            "give one without (`openssl rand -hex 32` makes one)."
        )
