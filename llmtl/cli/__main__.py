"""Run the command line as `python -m llmtl.cli`."""

import sys

from llmtl.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
