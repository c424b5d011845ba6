"""The dashboard: reads the store and writes operators' orders into it. It never changes a case itself."""
