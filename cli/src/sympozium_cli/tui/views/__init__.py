"""Pure view models: what screens show, as values."""
