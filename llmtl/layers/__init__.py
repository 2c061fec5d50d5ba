"""What the layers of a model hold, frozen or tuned, told from the states of some texts.

    mean_states.py   the mean state of each text in every layer
    separability.py  how well labels can be told apart by states: LogME, regularised H-score
    alignment.py     how alike the states of two models are: linear CKA

Arrays in, numbers out. Not covered: heads that are trained on states (`llmtl.heads`), words (`llmtl.report`).
"""
