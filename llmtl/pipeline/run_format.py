"""The run folder's format: which files it has, what they hold, how they are written and read.

    recipe.yaml        the recipe, every choice written out
    index.json         where the folder keeps what, the task, the findings of the checks; `format` counts changes of all
    data/              the examples of train, dev and test as they were used, the corpus that was searched, the
                       preferences, what was given in memory: rows.jsonl and, for a test set of its own, test-rows.jsonl
    steps/             one folder per step (`llmtl.store`)
    predictions/       one row per prediction, for people
    decision.json      the decision
    SHA256SUMS         seals all of these; data/ and every step have seals of their own (`llmtl.seals`)
    provenance.json    from what someone else could repeat the run

Not covered: making a run (`llmtl.pipeline.stages`), using a finished one (`llmtl.pipeline.run_folder`), the files of
curves, label noise, a judge and a live endpoint, which stand beside what they hold.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter

from llmtl.checks.finding import Finding
from llmtl.costs import Spending
from llmtl.data import DataConfig
from llmtl.data.config import FILES
from llmtl.decision.outcome import Decision
from llmtl.decision.sensitivity import NOISE_FILE, NoiseSensitivity
from llmtl.errors import DamagedRunError, InputError, LlmtlError, RunError
from llmtl.foreign_files import asks_for_more, holds_code, is_inside, leads_out
from llmtl.judging.result import JUDGING_FILE, Judging
from llmtl.learning_curve.conclusion import CURVE_FILE, CURVES, LearningCurves
from llmtl.measured.endpoint import SERVING_FILE
from llmtl.measured.evaluation import Evaluation
from llmtl.pipeline.run_result import RunResult
from llmtl.recipe import read_yaml
from llmtl.report.content import Skipped, SkipReason
from llmtl.report.decision_file import from_json, kept_spending, kept_summary, to_json
from llmtl.report.judging import judging_from_json
from llmtl.report.noise import noise_from_json
from llmtl.report.sentences import Summary
from llmtl.seals import SEAL, STEPS, check_content, damaged, read_seal, seal_of, sha256_of_file
from llmtl.settings import Recipe
from llmtl.store import RESULT, json_text, read_json, read_json_lines, write_json, write_json_lines, write_text
from llmtl.task import Example, Preference, Split, Task

FORMAT = 2
"""The newest format that this version reads, and the one it writes. 1 had no number and stored USD in evaluations."""

RECIPE, DECISION, INDEX, PROVENANCE = "recipe.yaml", "decision.json", "index.json", "provenance.json"
FINGERPRINT = "data fingerprint (SHA-256)"
"""The name in the provenance of what all examples that were given come to."""
CORPUS, PREFERENCES = Path("data") / "corpus.jsonl", Path("data") / "preferences.jsonl"
EVALUATION = TypeAdapter(Evaluation)
TASK = TypeAdapter(Task)
EXAMPLES = TypeAdapter(tuple[Example, ...])
_PREFERENCES = TypeAdapter(tuple[Preference, ...])


def _with_reason(skipped: Any) -> Any:
    """Return why a strategy was skipped, of which earlier versions kept the message alone."""
    return {"reason": SkipReason.UNKNOWN, "message": skipped} if isinstance(skipped, str) else skipped


@dataclass(frozen=True)
class RunIndex:
    """Where a run folder keeps what, relative to it: the folders of fits by strategy, and of evaluations.

    `dropped` are the evaluations of those that left the race. `sealed`: the folder has a seal, unlike those of earlier
    versions. `findings` and `skipped` are None in the oldest folders.
    """

    task: Task
    fits: Mapping[str, str]
    evaluations: tuple[str, ...]
    findings: tuple[Finding, ...] | None = None
    skipped: Mapping[str, Annotated[Skipped, BeforeValidator(_with_reason)]] | None = None
    dropped: tuple[str, ...] = ()
    sealed: bool = False
    format: int = field(default=1, kw_only=True)


_INDEX = TypeAdapter(RunIndex)
_PAIRS = TypeAdapter(dict[str, str])


def require_plain_run(folder: Path) -> None:
    """Raise `RunError` for a run folder that holds more than data, or links that lead out of it."""
    steps = folder / STEPS
    said = leads_out(folder)
    if said is None and steps.is_dir():
        said = holds_code(steps) or asks_for_more(steps)
    if said is not None:
        raise RunError(
            f"The run '{folder}' is no plain data: {said}; take that out, or run the recipe in a new folder."
        )


def check_format(folder: Path) -> None:
    """Refuse a run folder that a newer version of llmtl wrote, or that holds more than data: raises `RunError`."""
    require_plain_run(folder)
    if not (folder / INDEX).is_file():
        return
    index = read_json(folder / INDEX)
    found = index.get("format", 1) if isinstance(index, dict) else 1
    if isinstance(found, int) and found > FORMAT:
        raise RunError(
            f"'{folder}' was written by a newer llmtl (format {found}, this one reads up to {FORMAT}); upgrade llmtl."
        )


def read_index(folder: Path) -> RunIndex:
    """Read `index.json`; raises `RunError` where it is missing, damaged or of a newer version."""
    check_format(folder)
    with foreseen(folder):
        index = _INDEX.validate_python(read_json(folder / INDEX))
    check_seals(folder, sealed=index.sealed)
    paths = (*index.fits.values(), *index.evaluations, *index.dropped)
    odd = [path for path in paths if not (is_inside(path) and path.startswith(f"{STEPS}/"))]
    if odd:
        raise RunError(
            f"The run '{folder}' names '{odd[0]}', which is not inside it, in '{STEPS}'; run the recipe in a new "
            "folder."
        )
    return index


@contextmanager
def foreseen(folder: Path) -> Iterator[None]:
    """Turn what libraries raise for files that hold something else than they should into a `RunError`."""
    try:
        yield
    except LlmtlError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):  # pydantic's is a ValueError
        raise other_version(folder) from None


def check_seals(folder: Path, *, sealed: bool) -> None:
    """Compare the seals of data and steps with the run's, and see that every file it seals is there.

    What a file holds is compared when it is read. Raises `DamagedRunError`.
    """
    sums = read_seal(folder)
    if sums is None:
        if sealed:
            raise damaged(folder / SEAL)
        return
    for name, digest in sums.items():
        path = folder / name
        if not path.is_file() or (path.name == SEAL and sha256_of_file(path) != digest):
            raise damaged(path)


def read_decision(folder: Path) -> Decision:
    """Read `decision.json`; raises `RunError` where it is missing or not a decision."""
    with foreseen(folder):
        return from_json(read_json(folder / DECISION))


def read_summary(folder: Path, decision: Decision) -> Summary:
    """Read the sentences that `decision.json` holds, as they were written."""
    with foreseen(folder):
        return kept_summary(read_json(folder / DECISION), decision)


def read_spending(folder: Path) -> Spending | None:
    """Read what making the decision took; None where that was not kept."""
    with foreseen(folder):
        return kept_spending(read_json(folder / DECISION))


def read_curves(folder: Path) -> LearningCurves | None:
    """Read what labelling more would bring; None where that was not worked out."""
    path = folder / CURVE_FILE
    with foreseen(folder):
        return CURVES.validate_python(read_json(path)) if path.is_file() else None


def read_noise(folder: Path) -> NoiseSensitivity | None:
    """Read what became of the verdict without labels that look wrong; None where that was not kept."""
    path = folder / NOISE_FILE
    with foreseen(folder):
        return noise_from_json(read_json(path)) if path.is_file() else None


def read_judging(folder: Path) -> Judging | None:
    """Read what a judge said; None where there was none."""
    path = folder / JUDGING_FILE
    with foreseen(folder):
        return judging_from_json(read_json(path)) if path.is_file() else None


def read_evaluations(folder: Path, paths: Sequence[str]) -> tuple[Evaluation, ...]:
    """Read evaluations from their steps' folders; raises `RunError` where one is missing or damaged."""
    with foreseen(folder):
        return tuple(EVALUATION.validate_python(_as_now(read_json(folder / path / RESULT))) for path in paths)


def _as_now(document: dict[str, Any]) -> dict[str, Any]:
    """Bring an evaluation of format 1, which held USD and no seconds of its own, to the present form."""
    if "seconds" in document:
        return document
    seconds = sum(prediction["seconds"] for prediction in document["predictions"])
    # what a provider had charged for fitting was kept in USD alone
    stated = {"usd_fitting": document["train_usd"]} if document.get("device") == "hosted" else None
    return document | {"seconds": seconds, "stated": stated}


def read_examples(folder: Path, split: str) -> tuple[Example, ...]:
    """Read the examples of a split."""
    with foreseen(folder):
        return EXAMPLES.validate_python(read_json_lines(folder / "data" / f"{split}.jsonl"))


def read_corpus(folder: Path) -> dict[str, str]:
    """Read the texts that were searched, by id; none where nothing was."""
    path = folder / CORPUS
    with foreseen(folder):
        return {row["id"]: row["text"] for row in read_json_lines(path)} if path.is_file() else {}


def read_preferences(folder: Path) -> tuple[Preference, ...]:
    """Read the pairs of a better and a worse answer; none where the recipe named none."""
    path = folder / PREFERENCES
    with foreseen(folder):
        return _PREFERENCES.validate_python(read_json_lines(path)) if path.is_file() else ()


def read_provenance(folder: Path) -> dict[str, str]:
    """Read from what someone else could repeat the run."""
    with foreseen(folder):
        return _PAIRS.validate_python(read_json(folder / PROVENANCE))


def other_version(folder: Path) -> RunError:
    """Make the error for a folder whose files hold something else than they should."""
    return RunError(f"'{folder}' was written by another version of llmtl; run the recipe again.")


def write_inputs(folder: Path, recipe: Recipe, split: Split) -> None:
    """Write the recipe and the examples, before anything is measured."""
    import yaml

    document = recipe.model_dump(mode="json")
    document["data"] |= {key: _within(folder, document["data"][key]) for key in FILES}
    write_text(folder / RECIPE, yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    for name in ("train", "dev", "test"):
        rows = EXAMPLES.dump_python(getattr(split, name), mode="json")
        write_json_lines(folder / "data" / f"{name}.jsonl", list(rows))
    if split.corpus:
        write_json_lines(folder / CORPUS, [asdict(document) for document in split.corpus])
    if split.preferences:
        write_json_lines(folder / PREFERENCES, [asdict(pair) for pair in split.preferences])
    seal_data(folder)


def seal_data(folder: Path) -> None:
    """Write the seal of everything in `data/`."""
    write_text(folder / "data" / SEAL, seal_of(folder / "data"))


def seal_run(folder: Path) -> None:
    """Write the seal of a finished run: over its own files, its predictions, and the seals of data and steps.

    Reports are left out: they can be written again at any time.
    """
    patterns = (RECIPE, "*.json", "predictions/*.jsonl", f"data/{SEAL}", f"{STEPS}/*/{SEAL}")
    paths = [path for pattern in patterns for path in folder.glob(pattern) if not path.name.startswith(".")]
    write_text(folder / SEAL, seal_of(folder, [path.relative_to(folder).as_posix() for path in paths]))


def reseal(folder: Path) -> None:
    """Add what was measured of a live endpoint to the seal of a run; a run of an earlier version stays without one."""
    sums = read_seal(folder)
    if sums is not None:
        names = [SERVING_FILE] if (folder / SERVING_FILE).is_file() else []
        kept = {name: digest for name, digest in sums.items() if name != SERVING_FILE}
        write_text(folder / SEAL, seal_of(folder, names, known=kept))


def check_given(folder: Path, config: DataConfig) -> None:
    """Compare rows that were given in memory, which nobody else has, with the seal of `data/`; raises `RunError`."""
    for path in map(Path, filter(None, (config.path, config.test_path))):
        if path.is_file() and path.resolve().parent == (folder / "data").resolve():
            try:
                check_content(folder / "data" / path.name, path.read_bytes())
            except DamagedRunError:
                raise DamagedRunError(
                    f"'{path}' is damaged: it is not what was written, and the run has its data from there alone; give "
                    "the data to `llmtl.run` again."
                ) from None


def _within(folder: Path, path: str | None) -> str | None:
    """Write a path so that the recipe works from everywhere: inside the run folder from there, else in full.

    The names of Hub data sets stay.
    """
    if path is None or not Path(path).is_relative_to(folder):
        return str(Path(path).resolve()) if path is not None and Path(path).is_file() else path
    return str(Path(path).relative_to(folder))


def write_index(folder: Path, index: RunIndex) -> None:
    """Write `index.json`, which makes the folder a finished run, and then its seal."""
    write_json(folder / INDEX, _INDEX.dump_python(index, mode="json") | {"format": FORMAT})
    seal_run(folder)


def write_decision(folder: Path, result: RunResult, summary: Summary) -> None:
    """Write `decision.json`; when it says something new, what was measured of the old winner's server goes."""
    path, document = folder / DECISION, to_json(result.decision, summary, spending=result.spending)
    text = json_text(document)
    if not path.is_file() or path.read_bytes() != text.encode():
        (folder / SERVING_FILE).unlink(missing_ok=True)
    write_text(path, text)


def write_predictions(folder: Path, evaluation: Evaluation) -> None:
    """Write the predictions of one evaluation, one row each."""
    path = folder / "predictions" / f"{evaluation.strategy}.{evaluation.split}.jsonl"
    write_json_lines(path, _rows(evaluation))


def _rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    return [
        {
            "id": item.id,
            "reference": reference,
            "prediction": item.answer,
            "probabilities": dict(item.probabilities),
            "confidence": item.certainty,
            "logprob": item.logprob,
            "failure": item.failure,
            "dropped_spans": item.dropped_spans,
            "prompt_tokens": item.prompt_tokens,
            "cached_tokens": item.cached_tokens,
            "completion_tokens": item.completion_tokens,
            "seconds": item.seconds,
        }
        for item, reference in zip(evaluation.predictions, evaluation.references, strict=True)
    ]


def require_own(folder: Path, recipe: Recipe) -> None:
    """Check that a run of `recipe` in `folder` overwrites nothing; raises `RunError` for what is not its own.

    That is a file, a recipe without a run, a run of other data or of another task, and one of a newer llmtl. Changed
    choices and changed rows are no reason: what they touch is computed again.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"'{folder}' is a file, and a run needs a folder; name another with --out.")
    if not (folder / RECIPE).is_file():
        return
    if not (folder / STEPS).is_dir():
        raise RunError(f"'{folder / RECIPE}' is a recipe that the run would overwrite; name another folder with --out.")
    with suppress(DamagedRunError):  # the run makes the index again
        check_format(folder)
    before, now = _subject(folder), recipe.model_dump(mode="json")
    for section, key in (("data", "path"), ("data", "text"), ("data", "label"), ("task", "kind")):
        old, new = before.get((section, key)), now[section][key]
        if old not in (None, new) and not (key == "path" and _same_file(folder, old, new)):
            raise RunError(
                f"'{folder}' holds a run with {section}.{key} '{old}', not '{new}'; name another folder with --out, or "
                "delete that one."
            )


def _same_file(folder: Path, old: str, new: str) -> bool:
    """Tell whether two paths name one file, the old one from here or from the run folder."""
    return Path(new).resolve() in (Path(old).resolve(), (folder / old).resolve())


def _subject(folder: Path) -> dict[tuple[str, str], str]:
    """Return what the recipe kept in a run folder says, by section and key; nothing where it is damaged."""
    try:
        sections = read_yaml(folder / RECIPE)
    except InputError:
        return {}
    return {
        (name, key): value
        for name, section in sections.items()
        if isinstance(section, dict)
        for key, value in section.items()
        if isinstance(value, str)
    }
