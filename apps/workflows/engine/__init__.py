"""The pure core: no Django, no I/O, no clock. It decides; the shell around it acts."""
