"""The wire forms of integrations."""
