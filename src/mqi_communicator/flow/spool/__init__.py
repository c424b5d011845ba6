"""What is kept of a case on the local disk, from admission to delivery."""
