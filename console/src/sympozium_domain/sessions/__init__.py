"""Sessions: conversations whose turns are runs. A turn's run holds the whole conversation, and its name the turn's number."""
