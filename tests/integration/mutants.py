"""Mutations of a request's bytes: each takes a whole request and a source of randomness."""

from collections.abc import Callable
from random import Random

Mutation = Callable[[bytes, Random], bytes]


def cut(request: bytes, chance: Random) -> bytes:
    return request[: chance.randrange(len(request))]


def flip(request: bytes, chance: Random) -> bytes:
    changed = bytearray(request)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def insert(request: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(request))
    piece = chance.choice([b"\0", b"\r\n", b"\xff\xfe", b"\r\n\r\n", b": ", b" " * 300, chance.randbytes(20)])
    return request[:at] + piece + request[at:]


def garbage(_: bytes, chance: Random) -> bytes:
    return chance.randbytes(chance.randint(1, 500))


def pipeline(request: bytes, chance: Random) -> bytes:
    return request * chance.randint(2, 10) + cut(request, chance)


def other_length(request: bytes, chance: Random) -> bytes:
    wrong = chance.choice([b"-1", b"0x10", b"1e3", b"99999999999999999999", b"1, 2", b"", b"+3", b"7", b"100000"])
    return _with_header(request, b"content-length", wrong)


def second_length(request: bytes, chance: Random) -> bytes:
    return request.replace(b"\r\n", b"\r\ncontent-length: %d\r\n" % chance.randrange(100), 1)


def chunks(request: bytes, chance: Random) -> bytes:
    head, _, body = _with_header(request, b"content-length", b"0").partition(b"\r\n\r\n")
    head = head.replace(
        b"content-length: 0", b"transfer-encoding: " + chance.choice([b"chunked", b"gzip, chunked", b"x"])
    )
    size = chance.choice(
        [b"%x" % len(body), b"%x" % (len(body) + 5), b"-5", b"zz", b"f" * 17, b"%x;a=b" % len(body), b""]
    )
    return head + b"\r\n\r\n" + size + b"\r\n" + body + b"\r\n0\r\n" + chance.choice([b"\r\n", b"x: y\r\n\r\n", b""])


def header(request: bytes, chance: Random) -> bytes:
    line = chance.choice(
        [
            b"authorization: Bearer \xff\xfe",
            b"authorization: Bearer",
            b"expect: 100-continue",
            b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x",
            b"connection: upgrade\r\nupgrade: h2c",
            b"idempotency-key: " + b"k" * chance.randint(0, 300),
            b"x-request-timeout: " + chance.choice([b"-1", b"nan", b"\xe9", b"99999999"]),
            b"x-request-id: \xff",
            b"traceparent: " + chance.randbytes(20).replace(b"\r", b"").replace(b"\n", b""),
            b"content-type: text/\xff",
            b"content-encoding: gzip",
            b"mcp-protocol-version: \xff",
            b"mcp-session-id: \x7f",
            b"last-event-id: x",
            b" folded: yes",
            b"no colon",
            b"\0: \0",
        ]
    )
    return request.replace(b"\r\n", b"\r\n" + line + b"\r\n", 1)


def large_head(request: bytes, chance: Random) -> bytes:
    line = b"x-large: " + b"x" * chance.choice([1000, 65_000, 70_000, 200_000])
    return request.replace(b"\r\n", b"\r\n" + line + b"\r\n", 1)


def many_headers(request: bytes, chance: Random) -> bytes:
    return request.replace(b"\r\n", b"\r\n" + b"a: b\r\n" * chance.choice([100, 5000, 30_000]), 1)


def large_body(request: bytes, chance: Random) -> bytes:
    return _with_body(request, b'{"messages":"' + b"x" * chance.choice([100_000, 1_100_000]) + b'"}')


def deep(request: bytes, chance: Random) -> bytes:
    opening, closing = chance.choice([(b"[", b"]"), (b'{"a":', b"}")])
    levels = chance.choice([60, 70, 1000, 50_000])
    return _with_body(request, b'{"messages":' + opening * levels + b"1" + closing * levels + b"}")


def huge_number(request: bytes, chance: Random) -> bytes:
    number = chance.choice([b"9" * 20, b"9" * 5000, b"1e999", b"-1e400", b"NaN", b"0." + b"1" * 5000])
    return _with_body(request, b'{"messages":[{"role":"user","content":"x"}],"seed":' + number + b"}")


def not_text(request: bytes, chance: Random) -> bytes:
    return _with_body(request, b'{"messages":[{"role":"user","content":"' + chance.randbytes(20) + b'"}]}')


def half_a_character(request: bytes, _: Random) -> bytes:
    return _with_body(request, rb'{"messages":[{"role":"user","content":"\ud800"}],"\udc00":1,"input":"\udfff"}')


def first_line(request: bytes, chance: Random) -> bytes:
    method, _, rest = request.partition(b"\r\n")[0].split(b" ", 2), b"", request.partition(b"\r\n")[2]
    path = chance.choice(
        [b"*", b"//", b"http://x/v1/models", b"/%ff%00", b"/../../etc", b"/v1/models/" + b"x" * 70_000, b"/\xff"]
    )
    version = chance.choice([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9.9", b"", b"SIP/2.0"])
    return method[0] + b" " + path + b" " + version + b"\r\n" + rest


def _with_header(request: bytes, name: bytes, value: bytes) -> bytes:
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(name + b":")]
    return b"\r\n".join([*lines, name + b": " + value]) + b"\r\n\r\n" + body


def _with_body(request: bytes, body: bytes) -> bytes:
    head = request.partition(b"\r\n\r\n")[0]
    return _with_header(head + b"\r\n\r\n", b"content-length", b"%d" % len(body)) + body


MUTATIONS: list[Mutation] = [
    *(cut, flip, insert, garbage, pipeline, other_length, second_length, chunks, header, large_head, many_headers),
    *(large_body, deep, huge_number, not_text, half_a_character, first_line),
]
