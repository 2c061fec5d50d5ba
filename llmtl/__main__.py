"""`python -m llmtl`: the command line."""

import sys

from llmtl.cli import main

if __name__ == "__main__":
    sys.exit(main())
