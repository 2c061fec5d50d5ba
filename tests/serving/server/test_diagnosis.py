"""Log lines as vLLM 0.32 and uvicorn write them."""

import pytest

from llmtl.serving.server.diagnosis import doing, why

PREFIX = "(EngineCore pid=15) ERROR 11-23 17:42:15 [core.py:402] "


@pytest.mark.parametrize(
    ("lines", "code", "expected"),
    [
        (["OSError: [Errno 98] Address already in use"], 1, "its port is in use"),
        ([PREFIX + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB."], 1, "ran out of memory"),
        ([PREFIX + "ValueError: No adapter found for /tmp/x"], 1, "the LoRA adapter cannot be loaded (ValueError"),
        (["Traceback (most recent call last):", "KeyError: 'x'", "noise"], 1, "KeyError: 'x'"),
        (
            [
                PREFIX + "ValueError: max_model_len (4096) is greater than 2048.",
                "RuntimeError: Engine core initialization failed. See root cause above.",
            ],
            1,
            "ValueError: max_model_len (4096) is greater than 2048",
        ),
        (
            [
                "(APIServer pid=9) WARNING 11-23 18:10:39 [core_client.py:817] [shutdown] MPClient: engine core exited "
                "unexpectedly; starting cleanup",
                "(APIServer pid=9) ERROR 11-23 18:10:39 [async_llm.py:906] vllm.v1.engine.exceptions.EngineDeadError: "
                "EngineCore encountered an issue. See stack trace (above) for the root cause.",
            ],
            0,
            "its engine process was killed",
        ),
        (
            [
                "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
                "  Value error, User-specified max_model_len (9) is greater than 3 [type=value_error, input_value=x]",
                "    For further information visit https://errors.pydantic.dev/2.14/v/value_error",
            ],
            1,
            "ValidationError: 1 validation error for ModelConfig: Value error, User-specified max_model_len (9) is",
        ),
        (["usage: api_server.py [-h]", "api_server.py: error: unrecognized arguments: --speed 9"], 2, "--speed 9"),
        (
            ["(APIServer pid=9) INFO 11-23 18:16:59 [launcher.py:254] [shutdown] API server: shutdown triggered"],
            0,
            "told",
        ),
        ([], 137, "killed by somebody, or by the system for want of memory (SIGKILL)"),
        ([], 139, "it was killed from outside (SIGSEGV)"),
        (["all is well"], 3, "it ended with exit code 3"),
    ],
)
def test_the_cause_of_death(lines, code, expected):
    found = why(lines, code)
    assert expected in found
    assert "\n" not in found
    assert not found.endswith(".")


def test_a_long_error_is_cut():
    assert len(why(["ValueError: " + "x" * 5000], 1)) < 400


def test_what_a_starting_server_does_moves_on():
    log = [
        "(APIServer pid=1) INFO 11-23 17:40:30 [model.py:733] Resolved architecture: LlamaForCausalLM",
        "(EngineCore pid=2) INFO 11-23 17:41:07 [core.py:133] Initializing a V1 LLM engine (v0.32.0)",
        "(Worker pid=3) INFO 11-23 17:41:52 [cpu_model_runner.py:68] Starting to load model x...",
        "(EngineCore pid=2) INFO 11-23 17:41:54 [kv_cache_utils.py:2327] CPU KV cache size: 699,008 tokens",
        "INFO:     Started server process [1]",
    ]
    seen = [doing(log[:count]) for count in range(len(log) + 1)]
    assert seen[0] == "starting Python"
    assert len(set(seen)) == len(seen)
    assert seen[-1] == "opening the endpoint"
