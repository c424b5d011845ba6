"""Ears: logs, metrics and health. Listens; nobody calls it but the composition root."""
