"""Each kind of label on real data: LoRA, full fine-tuning with transformers' Trainer, and a trivial baseline."""
