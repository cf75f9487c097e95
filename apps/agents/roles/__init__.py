"""The roles of a team, the prompt that each comes with, and teams of them. No tables, no Django."""
