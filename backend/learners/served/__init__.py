"""Language models behind a server that speaks OpenAI's protocol: asked by prompts, with heads on what they answer."""
