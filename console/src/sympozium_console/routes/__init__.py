"""HTTP routes: each parses, calls and returns, and decides nothing."""
