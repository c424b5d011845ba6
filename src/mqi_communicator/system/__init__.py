"""What the operating system gives to every process of ours: limits, connections, durable files."""
