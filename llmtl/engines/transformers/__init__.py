"""Models run in this process by transformers."""
