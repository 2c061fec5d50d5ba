"""What fitting a strategy took and found out. Not covered: fitting (`llmtl.pipeline.measure`)."""

from dataclasses import dataclass

from llmtl.findings import FitFinding, PaidFitting, finding


@dataclass(frozen=True)
class FitRecord:
    """One fit: its seconds (None where an earlier version did not keep them), and on which devices it ran.

    `device` is `cpu`, `cuda` or `hosted`. `skipped` says why the strategy could not be fitted; None where it was.
    """

    train_seconds: float | None
    device: str
    devices: int = 1
    findings: tuple[FitFinding, ...] = ()
    skipped: str | None = None

    @property
    def paid_usd(self) -> float:
        """Return what a provider charged while the strategy was fitted, USD; 0 for models that run here."""
        paid = finding(self.findings, PaidFitting)
        return 0.0 if paid is None else paid.usd
