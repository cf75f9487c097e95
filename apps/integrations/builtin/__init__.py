"""The tools that come with Orchestra; importing this package registers them."""
