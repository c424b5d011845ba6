"""The dashboard: reads the store, writes operators' orders into it, never touches the flow."""
