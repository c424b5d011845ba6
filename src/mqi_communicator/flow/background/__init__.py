"""Tasks that run beside the cases: constancy samples, housekeeping, host health, audit checkpoints."""
