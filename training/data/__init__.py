"""Where training pictures come from, and the last look they get before the network sees them."""
