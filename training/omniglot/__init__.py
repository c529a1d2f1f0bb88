"""One-shot learning on handwritten characters: data, Koch's network, one-shot trials, the ladder and its report."""
