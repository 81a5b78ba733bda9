"""Measures the heads of a layer in blocks of rows, without ever holding T × S numbers."""
