"""The routes that servers have, and the environment variables that configure them.

Not covered: the variables of limits (`llmtl.serving.task_api.limits`).
"""

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
PREDICT, TASK, MODELS = "/v1/predict", "/v1/task", "/v1/models"
HEALTH, METRICS = "/health", "/metrics"
OPEN = (HEALTH, METRICS, "/ping", "/load", "/version")
"""Routes that need no key: probes and monitoring."""

BUNDLE_VARIABLE, KEY_VARIABLE = "LLMTL_BUNDLE", "VLLM_API_KEY"
