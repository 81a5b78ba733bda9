"""What is shown of one query in a text: the text itself, piece by piece, and the weight of each piece."""
