"""Screens: keys, and views put into widgets."""
