"""Where the processes of a server run: on this machine."""
