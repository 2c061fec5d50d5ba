"""The decision stage: which strategy to use, and what shows it. Sees `Evaluation` values, never models; pure.

    outcome.py      the values: codes and numbers, no sentences
    outlook.py      what would change it, as values
    config.py       margin, error rate, constraints
    eligibility.py  the constraints: which strategies may be chosen, and which limits the others break
    ranking.py      cheapest and best
    beliefs.py      what is believed about the true scores, and the expected regret of each strategy
    bets.py         what to use where test shows nothing
    racing.py       who need not be scored on all of dev
    one_draw.py     what is not known of a strategy that was fitted or asked once
    comparing.py    two evaluations against each other, in any metric
    choice.py       the choice on dev, and the comparisons on test it commits to
    evidence.py     those comparisons, measured and Holm-corrected
    share_*.py      choice and verdict by the share of inputs that can be left to a strategy
    verdict.py      adopt, tie, baseline or inconclusive
    simultaneous.py intervals of all comparisons that hold together and agree with the corrected test
    detectable.py   what test could find, break-even
    settling.py     how many further examples would settle it, and with what chance
    capability.py   which models cannot do the task at all
    changes.py      what would change the verdict, and what to know before trusting it
    transfer.py     what pre-training is worth
    training_shape.py how early a training learned, and how it ended
    transferred.py  all that a run found out about transfer
    decide.py       all of it together
    sensitivity.py  the verdict without the labels that look wrong
    predictions.py  prediction files made elsewhere, as evaluations

Not covered: measuring anything (`llmtl.pipeline`); sentences and `decision.json` (`llmtl.report`).
"""
