"""Builds graphs of attention: of the weights of all layers, and of the direct effects of heads."""
