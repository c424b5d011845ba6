"""Delivery of results."""
