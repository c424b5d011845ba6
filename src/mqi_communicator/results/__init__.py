"""Comparison of computed and planned doses: checks, verdict, signature, trend."""
