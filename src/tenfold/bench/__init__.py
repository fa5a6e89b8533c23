"""Drives a service, ours or any other, to find out what it can take: the load generator, and how it is used."""
