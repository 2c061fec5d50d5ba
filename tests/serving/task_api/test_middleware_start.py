import os
import subprocess
import sys

import pytest

SERVER = """
import socket, uvicorn
from starlette.applications import Starlette
from llmtl.serving.task_api.middleware import TaskMiddleware
app = Starlette()
app.add_middleware(TaskMiddleware)
with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    uvicorn.Server(uvicorn.Config(app)).run(sockets=[listener])
"""


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"LLMTL_BUNDLE": "/nowhere"}, "There is no bundle at '/nowhere'; make one with"),
        ({"LLMTL_BUNDLE": ""}, "LLMTL_BUNDLE is not set; set it to the bundle's folder."),
    ],
)
def test_a_server_that_cannot_load_its_bundle_ends_and_says_why(environment, reason):
    ended = subprocess.run(
        [sys.executable, "-c", SERVER],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert reason in ended.stderr
    assert "Application startup failed" in ended.stderr
    assert "Traceback" not in ended.stderr
