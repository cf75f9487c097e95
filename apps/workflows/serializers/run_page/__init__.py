"""A run as its page shows it: the graph, the timeline, the inspector, and the one sentence above them."""
