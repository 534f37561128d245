"""The desk for programs: the same functions as the pages and the commands, as JSON."""
