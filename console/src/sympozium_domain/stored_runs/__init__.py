"""Runs as they are stored: open ones in Kubernetes, ended ones there or in the archive."""
