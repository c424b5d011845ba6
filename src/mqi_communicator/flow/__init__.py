"""How a case moves: its steps, the transitions of its state, and the driver that runs what is due."""
