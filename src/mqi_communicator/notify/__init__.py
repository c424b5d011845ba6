"""Notifications by webhook and mail. Reads the store; never delays a case."""
