"""The ways in which credentials fail."""


class Unauthenticated(Exception):
    """Credentials that are not valid; the message says why. ``key_id`` is the id of a key that was valid once, ``namespace`` its own."""

    def __init__(self, message: str, key_id: str | None = None, *, namespace: str | None = None) -> None:
        super().__init__(message)
        self.key_id = key_id
        self.namespace = namespace


class NotJudged(Exception):
    """Credentials that cannot be judged now; ``retry_after`` is the number of seconds until they may be."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after
