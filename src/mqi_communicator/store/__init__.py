"""Memory: cases, lines, jobs, events, orders and breakers in one relational store."""
