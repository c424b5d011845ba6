"""Logs, metrics and health. Only the composition root calls it."""
