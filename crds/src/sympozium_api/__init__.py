"""The API of Sympozium, group ``sympozium.ai/v1alpha1``, which all other packages may import.

It contains the typed models of the custom resources, the names and labels of objects, the rules that turn a spec into
effective values, the protocol between an agent's pod and the agent API, and the thin Kubernetes client. Nothing here
decides, and nothing here imports another package of this project.

This module stays empty because the agent imports it: the agent starts cold in every pod, and an import is latency.
"""
