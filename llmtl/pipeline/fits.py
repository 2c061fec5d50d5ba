"""What a fit step keeps: a record as JSON, and beside it the files of the predictor.

Not covered: fitting (`llmtl.pipeline.measure`), the files (each strategy's own).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from pydantic import TypeAdapter
from safetensors import SafetensorError

from llmtl.measured.fitting import FitRecord
from llmtl.pipeline.run_format import foreseen, other_version
from llmtl.seals import SEAL, damage, damaged
from llmtl.store import RESULT, read_json
from llmtl.strategies.first_form import findings_of, is_first_form, load_first_form
from llmtl.strategy import AnyStrategy, FitContext, Predictor

_RECORD = TypeAdapter(FitRecord)


def fit_to_json(record: FitRecord) -> Any:
    """Describe a record in JSON values."""
    return _RECORD.dump_python(record, mode="json")


def fit_from_json(value: Mapping[str, Any]) -> FitRecord:
    """Read a record, of today's form or the first one."""
    if "findings" in value:
        return _RECORD.validate_python(value)
    return FitRecord(
        train_seconds=value.get("train_seconds"),
        device=value.get("device", "cpu"),
        findings=findings_of(value.get("details", {})),
        skipped=value.get("skipped"),
    )


def read_fit(folder: Path) -> FitRecord:
    """Read the record of the fit step in `folder`."""
    with foreseen(folder):
        return fit_from_json(read_json(folder / RESULT))


def load_fit(strategy: AnyStrategy, context: FitContext, folder: Path) -> Predictor:
    """Load the predictor that the fit step in `folder` kept, in today's form or the first one.

    Raises `RunError` for files that are not what was written, or hold something else than they should.
    """
    broken = damage(folder)
    if broken is not None:
        raise damaged(broken)
    if (folder / SEAL).is_file():
        return strategy.load(context, folder)
    with foreseen(folder):  # of an earlier version, so that nothing says that these are the files that were written
        result = read_json(folder / RESULT)
        try:
            if is_first_form(result):
                return load_first_form(strategy, context, folder, result)
            return strategy.load(context, folder)
        except (SafetensorError, BadZipFile, EOFError):
            raise other_version(folder) from None
