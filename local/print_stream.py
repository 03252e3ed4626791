"""Print the text of a streamed chat completion as it arrives on standard input; fail if it is an error or ends too early."""

import json
import sys
import time


def main() -> int:
    """Return exit status 0 only after the stream's own end, `[DONE]`."""
    began = time.monotonic()
    pieces, first = 0, 0.0
    unexpected: list[str] = []
    for line in sys.stdin:
        if not line.startswith("data: "):
            unexpected.append(line)
            continue
        data = line.removeprefix("data: ").strip()
        if data == "[DONE]":
            last = time.monotonic() - began
            sys.stdout.write(f"\n\n[{pieces} pieces, the first after {first:.2f} s, the last after {last:.2f} s]\n")
            return 0
        chunk = json.loads(data)
        if "error" in chunk:
            unexpected.append(data)
            break
        text = "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])
        if text:
            first = first or time.monotonic() - began
            pieces += 1
            sys.stdout.write(text)
            sys.stdout.flush()
    sys.stderr.write("\nno complete answer: " + "".join(unexpected).strip() + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
