"""What does a language model write, beyond the text that it reads?"""
