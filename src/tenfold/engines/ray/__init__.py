"""Replicas on the machines of a Ray cluster: each is a process as on this machine, which an actor there starts and watches.

Ray finds a place with the resources that the service declares, carries the folder there, and tells when a machine is lost.
Fronts ask the replicas directly, over TCP, on the same wire as beside them; Ray sees none of that.

orders     what is said between here and there
replicas   a replica as the supervisor sees it, and the placing of one
placer     a process of the server: the only one that talks to Ray
member     the actor, on whichever machine
needs      what a replica takes of a machine
room       whether the cluster has that
"""
