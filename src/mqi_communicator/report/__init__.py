"""One document per case that a physicist reads and signs: what was found, drawn and written as HTML and as PDF."""
