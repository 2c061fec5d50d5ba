"""The LLM judge of generation tasks: a second opinion on the comparisons that were planned before test was opened.

    config.py   the `judge` section of a recipe
    asking.py   one question: its words, and how a reply is read
    pairs.py    two strategies' outputs as questions in both orders, and what the replies say together
    tally.py    wins, losses and ties as a win rate with an interval and a test
    judge.py    asking an endpoint about all pairs, within the limits
    result.py   what `judging.json` holds
    opinion.py  where the judge contradicts the decision

Not covered: deciding anything. The verdict rests on the metric that was written down before test was opened.
"""

from llmtl.judging.config import JudgeConfig

__all__ = ["JudgeConfig"]
