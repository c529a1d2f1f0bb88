"""From a trained network to the int8 file that ships, with proof that nothing was lost on the way."""
