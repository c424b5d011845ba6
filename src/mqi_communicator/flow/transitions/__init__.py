"""The only places where the state of a work item changes."""
