"""How good the similarity function is, measured on what ships."""
