"""The report of a case, which a physicist reads and signs, as HTML and PDF."""
