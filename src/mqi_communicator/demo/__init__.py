"""The private loopback host, the samples and their ground truth."""
