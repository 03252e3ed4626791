"""Runs of every instance, as the console's dialects start and follow them. Neither a dialect nor a route enters here."""
