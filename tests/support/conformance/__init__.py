"""Calls of the real tritonclient and raw HTTP: the same for any server of the protocol.

Each call gives an outcome that can be compared between servers: arrays, texts, and of an error its
status. What a server says in words is its own business.
"""
