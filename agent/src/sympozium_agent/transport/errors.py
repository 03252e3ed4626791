"""The error of a transport, and the words for a connection that was not made."""

from __future__ import annotations

from _socket import gaierror


class TransportError(Exception):
    """No connection, or a connection that ended before the whole response had arrived."""

    def __init__(self, message: str, reason: str | None = None) -> None:
        """``reason``: without a connection, a stable word for it, as in the condition ModelReachable of an instance."""
        super().__init__(message)
        self.reason = reason


class AnswerTooLarge(TransportError):
    """A response with more bytes than its reader takes."""


def no_connection(failure: OSError | ValueError) -> TransportError:
    """Return the error of a connection that was not made."""
    match failure:
        case gaierror() | UnicodeError():
            return TransportError("name not found", "NameNotFound")
        case ConnectionRefusedError():
            return TransportError("connection refused", "ConnectionRefused")
        case TimeoutError():
            return TransportError("no connection: timed out", "Timeout")
    if type(failure).__module__ == "ssl":  # SSLError; the module is not imported where no TLS is
        return TransportError(f"no TLS connection: {failure}", "TLSFailed")
    if isinstance(failure, ValueError):
        return TransportError(f"the address is not valid: {failure}", "InvalidAddress")
    return TransportError(f"no connection: {failure}", "ConnectionFailed")
