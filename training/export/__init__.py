"""From a trained network to the int8 file that ships, with its card."""
