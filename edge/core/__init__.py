"""Values and NumPy: no clock, thread, log, file or topic."""
