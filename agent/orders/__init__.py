"""Orders: what they may become, and what staff do with them."""
