"""The vault: how secrets are sealed. `services.secrets` keeps and opens them."""
