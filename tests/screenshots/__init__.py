"""Makes the pictures of the documents, from an Orchestra of its own. Run it with `python -m tests.screenshots`."""
