"""Judges what a machine recorded of a fraction against the plan. Pure."""
