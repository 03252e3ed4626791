"""The index of runs: a table with a row per run in Kubernetes, kept by one replica from a watch that carries no contents."""
