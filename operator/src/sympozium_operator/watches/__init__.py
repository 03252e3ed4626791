"""Sources of keys for the work queue: kopf's handlers, the operator's own watches, polls, and the periodic resync."""
