"""Fine-tuning: values → a folder with a LoRA adapter and heads, in this process or several."""
