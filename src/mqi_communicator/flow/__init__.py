"""How a case moves: the steps, the one place where a state changes, and who is due."""
