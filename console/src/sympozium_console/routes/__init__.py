"""HTTP routes: each parses a request, calls one part and returns its answer."""
