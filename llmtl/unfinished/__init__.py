"""What a training needs to go on where it was killed.

    save_points.py    folders that are kept until the training has ended: when, sealed, whose
    kept_state.py     weights, optimizer, schedule and random states as plain data
    trainer_state.py  what of transformers' trainer is saved, and how it is put back

Not covered: what a training knows besides (`llmtl.tuning.resuming`, `llmtl.encoders`).
"""
