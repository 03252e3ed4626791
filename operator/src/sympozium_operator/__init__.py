"""The operator: turns SympoziumInstances into serving web endpoints and AgentRuns into Jobs.

kopf tells what changed (``handlers``), a work queue remembers which objects to look at (``queue``), the leader reconciles them
(``reconcile``): gather once (``cluster``), decide purely (``policy``, ``desired``), act once.
"""
