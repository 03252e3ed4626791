"""The loop of a run whose agent calls tools itself: model, tools, model, until an answer or a limit. Pure.

A run without tools imports nothing of this package, because an import is latency in a cold pod.
"""

from sympozium_agent.tool_loop.converse import converse
from sympozium_agent.tool_loop.offer import offer

__all__ = ["converse", "offer"]
