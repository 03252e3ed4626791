"""The API of Sympozium, group ``sympozium.ai/v1alpha1``: what all other packages may import.

Here live the typed models of the custom resources, the names and labels that objects carry, the rules that turn a
spec into effective values, the records that an agent pod and the web-proxy exchange, and the one Kubernetes client.
Nothing here decides, and nothing here imports another package of this project.

This module stays empty on purpose: the agent starts cold in every pod, and what it imports is latency.
"""
