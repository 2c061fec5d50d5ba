"""The winner in front of people and programs: bundle, server, parity check, playground.

Not covered: reading run folders (`llmtl.pipeline.export` and `llmtl.pipeline.serve` turn a run into what is
served here).
"""
