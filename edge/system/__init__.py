"""What the operating system provides: time of day, systemd, metrics, cryptography."""
