"""Analysis of weights: what heads do, how much they differ, whether the numbers are right."""
