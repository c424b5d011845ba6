"""What every engine's input goes through first: a plan and a CT become one patient position, one grid and spots."""
