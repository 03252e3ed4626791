import pytest

from sympozium_api.agent_protocol import parse_refusal


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b'{"error": {"message": "no quota", "code": "insufficient_quota"}}', ("no quota", "insufficient_quota")),
        (b'{"error": {"message": "slow down", "code": 429}}', ("slow down", "429")),
        (b'{"error": "model not found"}', ("model not found", None)),
        (b'{"message": "bad key"}', ("bad key", None)),
        (b'{"detail": "not found"}', ("not found", None)),
        (b'{"error": {"type": "overloaded"}}', ('{"type": "overloaded"}', None)),
        (b"[1]", ("[1]", None)),
        (b" <html>502</html> \n", ("<html>502</html>", None)),
        (b"\xff", ("\ufffd", None)),
        (b"", ("", None)),
        (b"[" * 60000, ("[" * 60000, None)),
    ],
)
def test_a_models_refusal_is_read_whatever_its_form(body: bytes, refusal: tuple[str, str | None]) -> None:
    assert parse_refusal(body) == refusal
