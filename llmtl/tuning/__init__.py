"""Fine-tuning a language model: one training, whatever of the model is trained (`trained_weights.py`)."""
