"""What heads do to a prediction: which token is asked about, direct effects, and heads switched off."""
