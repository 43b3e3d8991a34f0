"""Language models served through the OpenAI API: few-shot prompts, and heads fitted to the answers' probabilities."""
