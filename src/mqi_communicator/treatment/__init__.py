"""What machines recorded of deliveries: reads it, joins it to the plan, and groups it by fraction."""
