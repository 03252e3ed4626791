"""OpenAI's HTTP API: chat completions, responses, legacy completions, embeddings and models. Pure."""
