"""Fine-tuning: QLoRA, the `qlora` strategy."""
