"""The front: a small process that holds clients' connections, whatever becomes of the server behind it.

Not covered: what is asked and answered (`llmtl.serving.task_api`); bytes pass as they are, and only their bounds are
read.
"""
