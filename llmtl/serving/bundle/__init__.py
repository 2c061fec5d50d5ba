"""The servable form of a winner: a folder that stock vLLM serves, and what it says about itself."""
