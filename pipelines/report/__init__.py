"""What the report of a run tells, as tables: for the terminal, mail, HTML and the review desk alike."""
