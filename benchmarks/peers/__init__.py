"""Those whom Orchestra is measured beside; each is a `Contender` in a module of its own."""
