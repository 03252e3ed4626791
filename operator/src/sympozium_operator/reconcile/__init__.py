"""Reconcilers, one module per kind: gather what a decision may look at, decide, act. Nothing here builds an object or takes a decision."""
