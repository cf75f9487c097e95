"""One transaction of one run: everything that follows from news about its nodes."""
