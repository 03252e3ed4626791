"""Operator: turns SympoziumInstances into serving web endpoints and AgentRuns into Jobs.

``watches`` put the keys of changed objects into the work queue (``scheduling``); the leader reconciles them (``reconcile``): gather
once (``cluster``), decide purely (``policy``, ``desired``), act once. ``wiring`` puts the parts together.
"""
