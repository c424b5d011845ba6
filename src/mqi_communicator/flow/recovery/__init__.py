"""What a restored store has lost, recovered from the spool and the results folder."""
