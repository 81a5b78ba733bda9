"""Who measures which documents, and what is left of it after an interruption?"""
