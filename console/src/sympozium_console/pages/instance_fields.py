"""Fields of an instance's spec as forms show them."""

from sympozium_console.pages.spec_fields import SpecField

_TITLE = SpecField("title", "Title", description="The agent's name for people.", default="the instance's name")
_BASE_URL = SpecField(
    "agents.default.baseURL",
    "Base URL",
    description="Of an OpenAI-compatible API, up to and with its version.",
    default="https://api.openai.com/v1",
)
_PROVIDER = SpecField(
    "agents.default.providerRef",
    "Provider",
    description="Object of kind Provider in the same namespace that has the model, instead of base URL and Secret.",
    default="the base URL is called",
)
_FALLBACKS = SpecField(
    "agents.default.fallbackModels",
    "Fallback models",
    "lines",
    "Asked in this order where the model does not answer, one a line: a model, or provider:model.",
    "none",
)
_INSTRUCTIONS = SpecField(
    "memory.systemPrompt", "Instructions", "area", "The first system message of every conversation."
)
AGENT_FIELDS = (
    _TITLE,
    SpecField("description", "Purpose", description="What the agent is for, as MCP clients show it."),
    SpecField("agents.default.model", "Model", description="As the model server calls it."),
    _BASE_URL,
    _PROVIDER,
    _FALLBACKS,
    _INSTRUCTIONS,
)
NEW_INSTANCE_FIELDS = (
    _TITLE,
    SpecField("agents.default.model", "Model", description="As the model server calls it, such as gpt-4.1-mini."),
    _BASE_URL,
    _PROVIDER,
    _FALLBACKS,
    _INSTRUCTIONS,
)
LIMIT_FIELDS = (
    SpecField("agents.default.runTimeout", "Longest run", description="As in 90s or 5m.", default="10m"),
    SpecField("agents.default.maxTokens", "Tokens of an answer", "number", default="no limit"),
    SpecField("maxConcurrentRuns", "Runs at the same time", "number", default="20"),
    SpecField("maxQueuedRuns", "Runs in the queue", "number", "Beyond it callers get 429.", default="200"),
)
POOL_FIELDS = (
    SpecField(
        "agents.default.warmPool.size", "Idle pods", "number", "Each serves one run and is replaced.", default="0"
    ),
    SpecField(
        "agents.default.warmPool.max",
        "At most",
        "number",
        "Idle pods when requests arrive faster than pods start.",
        default="as many as above",
    ),
    SpecField("agents.default.warmPool.idleTTL", "Longest idle time", description="As in 10m.", default="10m"),
)
