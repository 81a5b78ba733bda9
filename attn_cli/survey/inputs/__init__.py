"""Which documents are in the files that were given?"""
