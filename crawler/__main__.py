"""`python -m crawler` is `openness`."""

if __name__ == "__main__":
    # Processes that are started for this one import this module as well, and need nothing of it.
    from crawler.cli import main

    main()
