"""The shapes of what the API and the commands give and take."""
