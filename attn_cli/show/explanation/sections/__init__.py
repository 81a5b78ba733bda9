"""What does one weight consist of? Each section of the explanation as blocks of a document."""
