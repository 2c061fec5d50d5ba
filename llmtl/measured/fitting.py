"""What fitting a strategy took and found out. Not covered: fitting (`llmtl.pipeline.measure`)."""

from dataclasses import dataclass

from llmtl.costs import NO_TOKENS, PriceConfig, Pricing, StatedCost, Tokens, usd_for_seconds
from llmtl.findings import Cut, FitFinding, PaidFitting, SearchTrace, finding


@dataclass(frozen=True)
class FitRecord:
    """One fit: its seconds (None where an earlier version did not keep them), and on which devices it ran.

    `device` is `cpu`, `cuda` or `hosted`. `skipped` says why the strategy could not be fitted; None where it was.
    `limit_seconds` is the time that it had; None for no limit, and where an earlier version did not keep it.
    """

    train_seconds: float | None
    device: str
    devices: int = 1
    findings: tuple[FitFinding, ...] = ()
    skipped: str | None = None
    limit_seconds: float | None = None

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """Say what its time limit left undone."""
        searched = finding(self.findings, SearchTrace)
        own = tuple(each for each in self.findings if isinstance(each, Cut))
        return own if searched is None else (*own, *searched.cut)

    @property
    def paid_tokens(self) -> Tokens:
        """Count the tokens that a provider was paid for while fitting; none for models that run here."""
        paid = finding(self.findings, PaidFitting)
        return NO_TOKENS if paid is None else Tokens(paid.prompt_tokens, paid.cached_tokens, paid.completion_tokens)

    @property
    def stated(self) -> StatedCost | None:
        """Give what a provider charged for fitting, USD, where an earlier version kept that and no tokens."""
        paid = finding(self.findings, PaidFitting)
        return None if paid is None or self.paid_tokens != NO_TOKENS else StatedCost(usd_fitting=paid.usd)

    def usd(self, prices: PriceConfig) -> float | None:
        """Price the fit: a machine's time and what a provider was paid; None where its time is not known."""
        if self.stated is not None:
            return self.stated.usd_fitting
        if self.train_seconds is None:
            return None
        machine = usd_for_seconds(self.train_seconds, device=self.device, devices=self.devices, prices=prices)
        return machine + Pricing(prices).tokens(self.paid_tokens)
