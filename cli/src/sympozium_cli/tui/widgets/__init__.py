"""Widgets that draw their visible lines only."""
