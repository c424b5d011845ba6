"""What each step does: one file a station, one function a step, acting only through the tools it is handed."""
