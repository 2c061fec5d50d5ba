"""Make batches ahead in another process. Not covered: what is in them, see `corpus`."""

import multiprocessing
import os
from collections.abc import Iterator
from queue import Full
from typing import TYPE_CHECKING, Any, Protocol

from llmtl.pocket.corpus import Batch, Corpus
from llmtl.pocket.documents import Encoder

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class StreamPlan(Protocol):
    """What the stream must know about a pre-training; `pretrain.Settings` is one."""

    @property
    def seed(self) -> int:
        """The seed that the corpus is made from."""

    @property
    def tokens_per_batch(self) -> int:
        """Tokens of all workers in one step."""

    @property
    def workers(self) -> int:
        """Processes that share a batch."""

    @property
    def n_steps(self) -> int:
        """Steps of the whole training."""

    def progress(self, step: int) -> float:
        """Compute the place of `step` on the curriculum, 0 to 1."""


def _produce(tokenizer_json: str, plan: StreamPlan, first: int, rank: int, queue: Any) -> None:
    from tokenizers import Tokenizer

    corpus = Corpus(Encoder(Tokenizer.from_str(tokenizer_json)), plan.seed)
    parent = os.getppid()
    share = plan.tokens_per_batch // plan.workers
    for step in range(first, plan.n_steps):
        index = step * plan.workers + rank
        batch = corpus.batch(index, plan.progress(step), n_tokens=share)
        while True:
            try:
                queue.put(batch, timeout=5)
                break
            except Full:
                if os.getppid() != parent:  # the training was killed
                    return


def stream(tokenizer: "Tokenizer", plan: StreamPlan, first: int, rank: int = 0) -> Iterator[Batch]:
    """Yield the batches of worker `rank` from step `first` on, made ahead by another process."""
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue(maxsize=24)
    process = context.Process(target=_produce, args=(tokenizer.to_str(), plan, first, rank, queue), daemon=True)
    process.start()
    try:
        for _ in range(first, plan.n_steps):
            yield queue.get()
    finally:
        process.terminate()
        process.join()
