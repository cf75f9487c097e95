"""How fast Orchestra is, beside others on the same servers; `benchmarks/README.md` tells how to read it."""
