"""Admission: watch the folder, examine each case for completeness, copy it to the spool under an opaque key."""
