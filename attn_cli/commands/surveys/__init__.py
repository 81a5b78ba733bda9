"""How a survey is asked for and shown: its options, its run, its answer, and files of results."""
