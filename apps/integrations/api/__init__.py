"""The REST endpoints of tools and of what they come from."""
