"""Mutable state that decides order and pace: the work queue, the fair queue of runs, the size of warm pools. No client enters here."""
