"""Base models in memory: load by name, tokenize, read, embed, write, with any number of LoRA adapters."""
