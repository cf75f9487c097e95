"""The statements that are asked for often, named."""
