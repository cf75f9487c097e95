"""Reading what was asked of language models, and what may be spent on them; in the organization in scope."""
