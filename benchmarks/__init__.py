"""How fast tenfold is, beside the limits of its machine and beside its peers: see README.md."""
