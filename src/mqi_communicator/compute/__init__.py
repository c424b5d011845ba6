"""Jobs on a host: the port to a scheduler and its implementations. Pure: text out, text in."""
