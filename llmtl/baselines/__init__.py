"""The baselines stage."""
