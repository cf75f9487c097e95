"""A handler per node type. Handlers see what they are given, never database rows."""
