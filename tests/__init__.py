"""The tests; they mirror `llmtl/`, and what they share is in `tests/support/`."""
