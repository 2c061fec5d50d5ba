"""What clients ask and are answered: the task inside vLLM's server, and the same routes without a language model.

It runs in the server's process. Not covered: starting that process (`llmtl.serving.server`).
"""
