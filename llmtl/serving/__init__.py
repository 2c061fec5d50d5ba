"""The winner in front of people and programs: bundle, server, parity check, playground.

Not covered: reading run folders (`llmtl.pipeline.deploy` turns a run into what is served here).
"""
