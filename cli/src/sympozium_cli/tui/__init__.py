"""Terminal UI: pure views, widgets that draw their visible lines only, and thin screens over both."""
