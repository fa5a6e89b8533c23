"""What tenfold does under load and under duress, measured, beside its limits and its peers: see README.md."""
