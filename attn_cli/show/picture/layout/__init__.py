"""Where the panels of a picture stand, how large their cells are, and which tokens are labelled."""
