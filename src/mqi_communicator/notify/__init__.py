"""Tells people outside: by webhook, by mail. Reads the store; never in the way of a case."""
