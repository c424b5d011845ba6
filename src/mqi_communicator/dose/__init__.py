"""What to compute: the port to a Monte Carlo engine and its implementations. Pure: bytes in, bytes out."""
