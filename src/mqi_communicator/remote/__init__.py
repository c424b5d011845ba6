"""There and back: hosts, reached over SSH or local, and rsync between them and us."""
