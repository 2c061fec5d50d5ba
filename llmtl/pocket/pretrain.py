"""Run the pre-training loop: batches in, checkpoints and a log out. Seeded and resumable.

The loss runs over 3 of 10 tokens of a batch: all answers and second copies, and a fresh random part of all other
text, so every token of the text is trained on in expectation and answers weigh about four times as much.
Hidden matrices are trained by Muon (Jordan et al. 2024), the rest by AdamW. Not covered: several devices.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmtl.pocket.architecture import Architecture, Size, build, export
from llmtl.pocket.corpus import TOKENS_PER_BATCH, Batch, n_in_loss, plain_text, row_length
from llmtl.pocket.documents import Encoder
from llmtl.pocket.objective import attention_mask, choose_targets, loss_of
from llmtl.pocket.probe import measure
from llmtl.pocket.stream import stream
from llmtl.pocket.vocabulary import (
    BOS,
    END,
    PAD,
    VOCABULARY_SIZE,
    load_tokenizer,
    special_ids,
    train_tokenizer,
    wrap_tokenizer,
)

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Settings:
    """The settings of one pre-training.

    start: progress at which the curriculum begins (0 for a fresh model, later for one that continues another).
    muon_lr, adam_lr: peak learning rates; warm-up over `warmup` of the steps, constant to `decay_from`, then
    linear to 2%.
    """

    architecture: Architecture
    out: Path
    n_tokens: int
    seed: int = 0
    size: Size = field(default_factory=Size)
    start: float = 0.0
    tokens_per_batch: int = TOKENS_PER_BATCH
    vocabulary_size: int = VOCABULARY_SIZE
    muon_lr: float = 6e-3
    adam_lr: float = 5e-3
    weight_decay: float = 0.02
    warmup: float = 0.01
    decay_from: float = 0.5
    probe_every: int = 5_000_000
    save_every: int = 5_000_000
    n_probe: int = 100
    use_compile: bool = True
    workers: int = 1
    init_from: Path | None = None
    state: Path | None = None
    log: Path | None = None

    @property
    def n_steps(self) -> int:
        """Optimizer steps of the whole training."""
        return max(1, self.n_tokens // self.tokens_per_batch)

    def progress(self, step: int) -> float:
        """Compute the place of `step` on the curriculum, from `start` to 1."""
        return self.start + (1 - self.start) * step / self.n_steps

    def rate(self, step: int) -> float:
        """Compute the learning rate at `step` as a share of the peak."""
        done = step / self.n_steps
        if done < self.warmup:
            return (step + 1) / (self.warmup * self.n_steps + 1)
        if done < self.decay_from:
            return 1.0
        return max(0.02, 1 - 0.98 * (done - self.decay_from) / (1 - self.decay_from))


def make_tokenizer(settings: Settings) -> "Tokenizer":
    """Load the tokenizer of `init_from`, else train one on 12,000 documents of the corpus."""
    if settings.init_from is not None:
        return load_tokenizer(settings.init_from)
    return train_tokenizer(tokenizer_texts(12_000), vocabulary_size=settings.vocabulary_size)


def tokenizer_texts(n_documents: int) -> Iterator[str]:
    """Yield messages and labels of sample documents, without special tokens."""
    import re

    for document in plain_text(0, n_documents):
        yield from (part for part in re.split(r"<\|\w+\|>", document) if part)


def make_model(settings: Settings, tokenizer: "Tokenizer") -> "PreTrainedModel":
    """Build a model with seeded fresh weights, or load that of `init_from`."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(settings.seed)
    known = special_ids(tokenizer)
    ids = (known[PAD], known[BOS], known[END])
    model = build(settings.architecture, tokenizer.get_vocab_size(), settings.size, token_ids=ids)
    if settings.init_from is not None:
        donor = AutoModelForCausalLM.from_pretrained(settings.init_from, dtype=torch.float32)
        model.load_state_dict(donor.state_dict())
    model.set_attn_implementation("eager")  # at these lengths twice as fast on a CPU as the fused kernel
    return model


def make_optimizers(model: "PreTrainedModel", settings: Settings) -> "list[torch.optim.Optimizer]":
    """Give the 2-D matrices of the layers to Muon, embeddings and norms to AdamW."""
    import torch

    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(
            matrices,
            lr=settings.muon_lr,
            weight_decay=settings.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(others, lr=settings.adam_lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def average_gradients(model: "PreTrainedModel", workers: int) -> None:
    """Replace the gradients of every worker by their mean, in one exchange."""
    import torch

    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    torch.distributed.all_reduce(flat)
    flat /= workers
    for gradient, mean in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


class Trainer:
    """Holds what one training needs between steps; `run` does it all."""

    def __init__(self, settings: Settings, rank: int = 0) -> None:
        import torch

        self.settings = settings
        self.rank = rank
        self.tokenizer = make_tokenizer(settings)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model: Any = make_model(settings, self.tokenizer)
        self.model: PreTrainedModel = model.to(self.device)
        self.optimizers = make_optimizers(self.model, settings)
        self.loss: Any = torch.compile(loss_of, dynamic=False) if settings.use_compile else loss_of
        self.step = 0
        self.seconds = 0.0
        self.window = settings.size.window if settings.architecture == "mistral" else None
        self.state_path = settings.state or settings.out.with_name(settings.out.name + ".state.pt")
        self.log_path = settings.log or settings.out.with_name(settings.out.name + ".log.jsonl")

    def resume(self) -> bool:
        """Load the saved state, tokenizer included; False if there is none."""
        import torch
        from tokenizers import Tokenizer

        if not self.state_path.exists():
            return False
        state = torch.load(self.state_path, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.seconds = state["step"], state["seconds"]
        self.tokenizer = Tokenizer.from_str(state["tokenizer"])
        return True

    def save(self) -> None:
        """Write the state for `resume` and the checkpoint, each in one move."""
        import torch

        if self.rank:
            return
        state = {
            "model": self.model.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "step": self.step,
            "seconds": self.seconds,
            "tokenizer": self.tokenizer.to_str(),
        }
        fresh = self.state_path.with_name(self.state_path.name + ".new")
        fresh.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, fresh)
        fresh.replace(self.state_path)
        export(
            self.model,
            wrap_tokenizer(self.tokenizer, max_length=self.settings.size.max_positions),
            self.settings.out,
        )

    def write_log(self, **record: Any) -> None:
        """Append one JSON line to the log and print it."""
        if self.rank:
            return
        line = json.dumps(
            {
                "tokens": self.step * self.settings.tokens_per_batch,
                "seconds": round(self.seconds, 1),
                **record,
            }
        )
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)

    def train_step(self, batch: Batch) -> "torch.Tensor":
        """Make one update; return the loss, still on the device."""
        import torch

        settings = self.settings
        positions, targets = choose_targets(
            batch, n_in_loss(settings.tokens_per_batch // settings.workers), f"{settings.seed}/{self.step}/{self.rank}"
        )
        ids = torch.from_numpy(batch.ids[:, :-1].astype("int64")).to(self.device)
        mask = attention_mask(torch.from_numpy(batch.documents[:, :-1]).to(self.device), self.window)
        loss: torch.Tensor = self.loss(self.model, ids, mask, positions.to(self.device), targets.to(self.device))
        torch.autograd.backward(loss)
        if settings.workers > 1:
            average_gradients(self.model, settings.workers)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        rate = settings.rate(self.step)
        for optimizer, peak in zip(self.optimizers, (settings.muon_lr, settings.adam_lr), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return loss.detach()

    def probe(self) -> None:
        """Log the probe accuracies."""
        if self.rank:
            return
        scores = measure(self.model, Encoder(self.tokenizer), seed=1, n=self.settings.n_probe)
        self.write_log(event="probe", **scores)

    def run(self) -> None:
        """Train to the end, with probes, checkpoints and progress lines on the way."""
        settings = self.settings
        self.write_log(event="start", settings={k: str(v) for k, v in asdict(settings).items()}, step=self.step)
        begun, before, seen, losses = time.monotonic(), self.seconds, 0, []
        for batch in stream(self.tokenizer, settings, self.step, self.rank):
            losses.append(self.train_step(batch))
            self.seconds = before + time.monotonic() - begun
            seen += settings.tokens_per_batch
            if self.step % 100 == 0:
                rate = seen / (self.seconds - before)
                left = (settings.n_steps - self.step) * settings.tokens_per_batch / rate
                mean = sum(float(x) for x in losses) / len(losses)
                self.write_log(
                    event="progress",
                    loss=round(mean, 4),
                    tokens_per_second=round(rate),
                    minutes_left=round(left / 60, 1),
                    row=row_length(settings.progress(self.step)),
                )
                losses = []
            if self._due(settings.probe_every):
                self.probe()
            if self._due(settings.save_every):
                self.save()
        self.save()
        self.probe()

    def _due(self, every: int) -> bool:
        per_step = self.settings.tokens_per_batch
        return (self.step * per_step) // every > ((self.step - 1) * per_step) // every


def _work(rank: int, settings: Settings, resume: bool, port: int) -> None:
    import torch

    if settings.workers > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // settings.workers))
        torch.distributed.init_process_group(
            "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=settings.workers
        )
    trainer = Trainer(settings, rank)
    if resume:
        trainer.resume()
    trainer.run()
    if settings.workers > 1:
        torch.distributed.destroy_process_group()


def pretrain(settings: Settings, *, resume: bool = False) -> None:
    """Train to the end; `resume` continues from the saved state if there is one.

    With several workers each makes its share of every batch and they average gradients: on CPU cores that other
    programs use too, that is faster than one process with many threads, which wait for each other at every operation.
    """
    if settings.workers == 1:
        _work(0, settings, resume, 0)
        return
    from torch.multiprocessing.spawn import spawn

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(_work, args=(settings, resume, port), nprocs=settings.workers)  # type: ignore[no-untyped-call]
