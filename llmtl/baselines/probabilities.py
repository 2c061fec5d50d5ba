"""From label probabilities to predictions. Not covered: predictions of language models (`llmtl.label_predictor`)."""

from collections.abc import Iterable, Sequence

from llmtl.predictor import Prediction


def predictions(labels: Sequence[str], rows: Iterable[Sequence[float]], *, seconds_each: float) -> list[Prediction]:
    """Return one prediction a row of C probabilities, in order; the first of equally probable labels wins."""
    return [
        Prediction(
            id=str(position),
            answer=labels[max(range(len(labels)), key=row.__getitem__)],
            probabilities=dict(zip(labels, row, strict=True)),
            seconds=seconds_each,
        )
        for position, row in enumerate(rows)
    ]
