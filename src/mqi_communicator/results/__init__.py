"""Is it true: what came home is checked, compared with the planned dose, and judged."""
