"""What prompts a model as it is.

    config.py          what a recipe may choose
    template.py        the wording of one task for one model
    predictors.py      predictors that prompt a model
    rotations.py       the labels of a prompt in several orders, averaged
    instructions.py    wordings of the instruction
    demonstrations.py  balanced, interleaved demonstrations
    fixed_shots.py     the same demonstrations for every input
    retrieval.py       the most similar training examples of an input
    prompts.py         predictors in every wording
    search.py          candidates scored on dev, within a time box
    search_time.py     how long that would take
    calibrating.py     whether a calibration of label probabilities is kept

Demonstrations come from train only. Not covered: the strategies (`llmtl.strategies`), inventing instructions, chain of
thought, self-consistency.
"""
