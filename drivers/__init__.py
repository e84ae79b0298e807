"""What touches hardware. Knows nothing of orders, brokers or the agent's files."""
