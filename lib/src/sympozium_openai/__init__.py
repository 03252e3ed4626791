"""OpenAI's dialect, for every server that speaks it: bodies of requests, completions, responses, events, errors.

``run_response``, ``chunk_frames`` and ``response_frames`` let an HTTP response follow a run; all other modules translate
values and are pure. Routes, keys, limits and the instance are the server's own.
"""
