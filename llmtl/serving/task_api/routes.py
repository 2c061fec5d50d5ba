"""The routes that servers have, and the environment variables that configure them.

Not covered: the variables of limits (`llmtl.serving.task_api.limits`).
"""

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
PREDICT, TASK, MODELS = "/v1/predict", "/v1/task", "/v1/models"
HEALTH, METRICS = "/health", "/metrics"
OPEN = (HEALTH, METRICS, "/ping", "/load", "/version")
"""Routes that need no key: probes and monitoring."""

KEEP_ALIVE_SECONDS = 75
"""How long a server keeps an idle connection: longer than clients and proxies do (httpx and vLLM's own default 5, nginx
60), since a connection that both ends close at the same moment costs a request."""

BUNDLE_VARIABLE, KEY_VARIABLE = "LLMTL_BUNDLE", "VLLM_API_KEY"
