"""The pre-training loop on a tiny model: seeded, resumable, and it learns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from llmtl.pocket.architecture import Size
from llmtl.pocket.corpus import Batch
from llmtl.pocket.objective import attention_mask, choose_targets, loss_of
from llmtl.pocket.pretrain import Settings, Trainer

TINY = Size(hidden=32, layers=2, heads=1, mlp=64, max_positions=256, window=64)


def settings(folder: Path, **changes: object) -> Settings:
    base = Settings(
        architecture="llama",
        out=folder / "model",
        n_tokens=6 * 512,
        seed=7,
        size=TINY,
        tokens_per_batch=512,
        vocabulary_size=500,
        probe_every=10**9,
        save_every=10**9,
        n_probe=4,
        use_compile=False,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def donor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the tiny model before any training; later trainers take its tokenizer."""
    trainer = Trainer(settings(tmp_path_factory.mktemp("donor")))
    trainer.save()
    return trainer.settings.out


def steps(trainer: Trainer, n: int) -> list[float]:
    from llmtl.pocket.corpus import Corpus
    from llmtl.pocket.documents import Encoder

    corpus = Corpus(Encoder(trainer.tokenizer), trainer.settings.seed)
    losses = []
    for _ in range(n):
        batch = corpus.batch(trainer.step, trainer.settings.progress(trainer.step), n_tokens=512)
        losses.append(float(trainer.train_step(batch)))
    return losses


def test_a_resumed_training_ends_with_the_same_weights(donor: Path, tmp_path: Path) -> None:
    whole = Trainer(settings(tmp_path / "whole", init_from=donor))
    steps(whole, 6)
    first = Trainer(settings(tmp_path / "parts", init_from=donor))
    steps(first, 3)
    first.save()
    second = Trainer(settings(tmp_path / "parts", init_from=donor))
    assert second.resume()
    assert second.step == 3
    steps(second, 3)
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, second.model.state_dict()[name]), name


def test_the_loss_falls(donor: Path, tmp_path: Path) -> None:
    losses = steps(Trainer(settings(tmp_path, init_from=donor, n_tokens=40 * 512)), 40)
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.3


def test_mistral_takes_the_weights_of_llama(donor: Path, tmp_path: Path) -> None:
    trainer = Trainer(settings(tmp_path, init_from=donor, architecture="mistral"))
    trainer.save()
    loaded = AutoModelForCausalLM.from_pretrained(trainer.settings.out)
    assert type(loaded).__name__ == "MistralForCausalLM"
    assert loaded.config.sliding_window == TINY.window
    source = AutoModelForCausalLM.from_pretrained(donor).state_dict()
    assert all(torch.equal(weight, source[name]) for name, weight in loaded.state_dict().items())


def test_a_full_run_writes_log_state_and_checkpoint(donor: Path, tmp_path: Path) -> None:
    trainer = Trainer(settings(tmp_path, init_from=donor, n_tokens=2 * 512))
    trainer.run()
    assert trainer.step == 2
    assert '"event": "probe"' in trainer.log_path.read_text(encoding="utf-8")
    assert (trainer.settings.out / "model.safetensors").is_file()
    assert trainer.state_path.is_file()
    assert not list(tmp_path.glob("*.new"))


def test_packed_documents_do_not_see_each_other(donor: Path, tmp_path: Path) -> None:
    trainer = Trainer(settings(tmp_path, init_from=donor))
    ids = torch.randint(6, 400, (1, 24), generator=torch.Generator().manual_seed(0))
    documents = torch.tensor([[0] * 10 + [1] * 14])
    with torch.inference_mode():
        packed = trainer.model(input_ids=ids, attention_mask=attention_mask(documents, None).float()).logits[:, 10:]
        alone = trainer.model(input_ids=ids[:, 10:]).logits
    torch.testing.assert_close(packed, alone, atol=1e-4, rtol=1e-4)


def test_the_window_hides_what_is_further_back() -> None:
    mask = attention_mask(torch.zeros(1, 6, dtype=torch.long), 3)[0, 0]
    seen = (mask == 0).int().tolist()
    assert seen[5] == [0, 0, 0, 1, 1, 1]
    assert seen[1] == [1, 1, 0, 0, 0, 0]


def test_the_loss_is_that_of_the_whole_model_at_the_chosen_places(donor: Path, tmp_path: Path) -> None:
    trainer = Trainer(settings(tmp_path, init_from=donor))
    ids = np.arange(20, 42, dtype=np.int32).reshape(2, 11)
    weights = np.ones((2, 11), dtype=np.int8)
    weights[:, 7:9] = 2
    batch = Batch(ids, np.zeros((2, 11), dtype=np.int16), weights)
    positions, targets = choose_targets(batch, 6, "seed")
    assert {6, 7, 16, 17} <= set(positions.tolist())
    inputs = torch.from_numpy(ids[:, :-1].astype(np.int64))
    mask = attention_mask(torch.zeros(2, 10, dtype=torch.long), None)
    with torch.inference_mode():
        ours = loss_of(trainer.model, inputs, mask, positions, targets)
        logits = trainer.model(input_ids=inputs).logits.reshape(20, -1)
        reference = torch.nn.functional.cross_entropy(
            logits[positions], torch.from_numpy(ids[:, 1:].astype(np.int64)).reshape(-1)[positions]
        )
    assert float(ours) == pytest.approx(float(reference), abs=0.05)


def test_targets_never_cross_documents_or_padding() -> None:
    ids = np.arange(12, dtype=np.int32).reshape(1, 12)
    documents = np.array([[0, 0, 0, 0, 1, 1, 1, 1, -1, -1, -1, -1]], dtype=np.int16)
    positions, targets = choose_targets(Batch(ids, documents, np.ones((1, 12), dtype=np.int8)), 11, "s")
    assert targets[targets >= 0].tolist() == [1, 2, 3, 5, 6, 7]
    assert positions[targets >= 0].tolist() == [0, 1, 2, 4, 5, 6]
