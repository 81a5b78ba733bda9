"""How are the results of a survey read back, and what is written of each document?"""
