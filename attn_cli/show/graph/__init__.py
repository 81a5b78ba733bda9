"""Writes graphs of attention to files that networkx, Graphviz, Gephi and Neuronpedia's viewer read."""
