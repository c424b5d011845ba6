"""The only modules that change the state of a work item."""
