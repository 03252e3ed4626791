"""The HTTP kit of every server: serving, limits, bodies, disconnects, keys, the access log, metrics, traces and refusals.

Neither runs nor a client protocol enter here: each protocol renders a refusal in its own shape.
"""
