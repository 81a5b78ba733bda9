"""Every fact about a head, with rows in blocks: never T × S."""
