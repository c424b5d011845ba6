"""The store: cases, work items, jobs, events, orders and breakers in one relational database."""
