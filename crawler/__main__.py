"""`python -m crawler` is `openness`."""

from crawler.cli import main

main()
