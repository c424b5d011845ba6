"""To the people: delivered results."""
