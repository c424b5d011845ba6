"""A folder appears: watched, proved complete, copied to the spool under an opaque key."""
