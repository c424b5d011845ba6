"""What each step does: one module and one function per step, acting only through the tools it is passed."""
