"""Patterns of policies: texts in which ``*`` stands for any characters, and nothing else is special. Pure."""

import unicodedata

DOCKER_HUB = "docker.io"
"""Registry of an image that names none."""
_FOLDER = "models/"
_TAG = ":latest"
_UNSEEN = ("Cc", "Cf")
"""Unicode's categories of control characters and of characters without a shape."""


def matches(pattern: str, text: str) -> bool:
    """Return true if a pattern describes a whole text. The time is at most proportional to both lengths together."""
    first, *others = pattern.split("*")
    if not others:
        return pattern == text
    last = others.pop()
    if not text.startswith(first):
        return False
    position = len(first)
    for part in others:
        found = text.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return len(text) - position >= len(last) and text.endswith(last)


def folded(text: str) -> str:
    """Return a text as ``deny`` compares it: other writings of it, which a server may take for the same, become equal."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(each for each in plain if not each.isspace() and unicodedata.category(each) not in _UNSEEN)


def model_matches(pattern: str, title: str) -> bool:
    """Return true if a pattern describes a model's title ``provider:model``. ``*`` of one side never reaches over the colon."""
    if pattern == "*":
        return True
    (provider, colon, model), (of_provider, _, of_model) = pattern.partition(":"), title.partition(":")
    return bool(colon) and matches(provider, of_provider) and matches(model, of_model)


def model_writings(title: str) -> tuple[str, ...]:
    """Return a model's title as servers write it too: with Gemini's folder ``models/`` or without, with Ollama's tag or without."""
    provider, _, model = title.partition(":")
    bare = model.removeprefix(_FOLDER)
    names = {model, bare, _FOLDER + bare, bare.removesuffix(_TAG), bare if ":" in bare else bare + _TAG}
    return tuple(f"{provider}:{name}" for name in names)


def whole_image(image: str) -> str:
    """Return an image with its registry: ``nginx`` is ``docker.io/library/nginx``."""
    registry, slash, rest = image.partition("/")
    is_registry = bool(slash) and ("." in registry or ":" in registry or registry == "localhost")
    if is_registry:
        return f"{DOCKER_HUB}/{rest}" if registry == f"index.{DOCKER_HUB}" else image
    return f"{DOCKER_HUB}/{image if slash else f'library/{image}'}"
