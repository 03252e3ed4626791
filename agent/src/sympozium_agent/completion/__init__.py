"""Completions: from the chunks of any model server's stream to chunks as OpenAI sends them, and to the whole answer. Pure.

Servers differ in what they call an OpenAI-compatible stream. A chunk is first normalised, then forwarded, and the whole
answer is joined from the normalised chunks alone. So a caller that joins the forwarded chunks as OpenAI's SDKs do has the
same answer as a caller that asks for the whole. Rules: OpenAI's API reference, "chat completion chunk object".
"""

from sympozium_agent.completion.accumulator import CompletionAccumulator, extra_fields

__all__ = ["CompletionAccumulator", "extra_fields"]
