"""The vocabulary that all packages share: no I/O, standard library only."""
