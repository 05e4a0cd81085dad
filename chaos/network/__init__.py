"""A TCP proxy between two programs, whose faults are put on and taken off while it runs.

`python -m chaos.network` is a process of its own. A client connects to it in the place of its
server; what passes is only TCP, so TLS and gRPC go through untouched. The words are Toxiproxy's:
a fault is a *toxic*, *upstream* is what flows from the client to the server, *downstream* what
flows back. Where Toxiproxy counts milliseconds and kilobytes, this counts seconds and bytes, and
its names say so (`latency_seconds`, `bytes_per_second`).

`chaos.network.toxics` has the toxics, `chaos.network.control` the client that puts them on, and
`chaos.network.journal` what the proxy writes down of all that it did.
"""
