"""What watches the hosts that compute: job poller, breakers, call budget, forecast."""
