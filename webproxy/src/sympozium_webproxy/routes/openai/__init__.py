"""Routes of OpenAI's API: chat completions, responses, legacy completions, embeddings and models."""
