"""Networks that learn an encoding."""
