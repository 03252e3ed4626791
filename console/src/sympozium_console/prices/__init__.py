"""Prices of models: those of the ConfigMap sympozium-prices, then those of the library genai-prices. No network."""
