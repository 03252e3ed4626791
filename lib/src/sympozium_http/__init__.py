"""What our HTTP servers share, the web-proxy and the console: who calls, how much they may send, one count and one log line of it.

No client protocol enters here: what a refusal looks like is each server's own.
"""
