"""From traces to numbers: which head to show, how far heads are apart."""
