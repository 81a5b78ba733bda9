"""What do the questions of a textbook come to, on the reader's own text and model? Numbers only."""
