"""Members of a request that Sympozium sets or checks, and names that a model server may take for theirs. Pure."""

from collections.abc import Iterable

_CONTROLLED = ("model", "messages", "prompt", "stream", "stream_options", "max_tokens", "max_completion_tokens")


def find_misspelt(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the first name that differs from a controlled member's only by the case of its letters, and that member's name.

    Model servers in Go ignore the case of names (``encoding/json``), also of U+017F for s and U+212A for k, and of several such
    members take the last. Such a member would replace the one that was checked.
    """
    folded = ((name, name.upper().casefold()) for name in names)
    return next(((name, meant) for name, meant in folded if meant in _CONTROLLED and name != meant), None)
