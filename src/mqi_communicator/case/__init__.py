"""The words every room speaks: no I/O, standard library only."""
