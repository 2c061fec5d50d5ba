"""The playground on its own, for a task that is already served: `python serve/app.py --endpoint http://HOST:8000/v1`.

The endpoint's API key is taken from LLMTL_API_KEY. `llmtl serve` starts server and playground together.
"""

import argparse
import os
import signal
import sys
import threading

import llmtl


def main() -> int:
    """Return the exit code, once interrupted."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # containers are stopped with it
    try:
        run = llmtl.load_run(options.run) if options.run else None
        page = llmtl.playground(
            options.endpoint,
            run=run,
            api_key=os.environ.get("LLMTL_API_KEY"),
            host=options.host,
            port=options.port,
            share=options.share,
        )
    except llmtl.LlmtlError as error:
        print(f"playground: {error}", file=sys.stderr)
        return error.exit_code
    print(f"Playground: {page.share_url or page.url}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        page.close()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The playground of a served task.")
    parser.add_argument("--endpoint", required=True, metavar="URL", help="where the task is served, ending in /v1")
    parser.add_argument("--run", metavar="DIR", help="the run folder, for the Decision and Errors tabs")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=7860, help="the port (default: %(default)s; 0: any free one)")
    parser.add_argument("--share", action="store_true", help="share the page publicly through Gradio's tunnel")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
