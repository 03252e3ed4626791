"""Sources of keys for the work queue: kopf's handlers, the Gateway API's watches, the periodic resync."""
