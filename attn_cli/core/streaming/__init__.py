"""Measuring the heads of a layer: each metric once, its rows in blocks, never T × S."""
