"""Each kind of label on real data: LoRA, full fine-tuning by transformers' own Trainer, and a trivial baseline."""
