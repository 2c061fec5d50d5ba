"""What a fit step keeps: a record as JSON, and beside it the files of the predictor.

Not covered: fitting (`llmtl.pipeline.measure`), the files (each strategy's own).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from llmtl.measured.fitting import FitRecord
from llmtl.store import read_json
from llmtl.strategies.first_form import findings_of, is_first_form, load_first_form
from llmtl.strategy import AnyStrategy, FitContext, Predictor

_RECORD = TypeAdapter(FitRecord)
RESULT = "result.json"


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
    return fit_from_json(read_json(folder / RESULT))


def load_fit(strategy: AnyStrategy, context: FitContext, folder: Path) -> Predictor:
    """Load the predictor that the fit step in `folder` kept, in today's form or the first one."""
    result = read_json(folder / RESULT)
    if is_first_form(result):
        return load_first_form(strategy, context, folder, result)
    return strategy.load(context, folder)
