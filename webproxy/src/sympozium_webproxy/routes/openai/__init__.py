"""The routes of OpenAI's API: chat completions, responses, legacy completions, embeddings, models."""
