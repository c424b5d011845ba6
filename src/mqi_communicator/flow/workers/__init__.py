"""Worker processes: heavy or risky functions run in child processes with limits."""
