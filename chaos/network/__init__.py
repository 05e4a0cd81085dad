"""A line that passes TCP on, whose faults are put on and taken off while it runs.

A client connects to the line in the place of its server. What passes is only TCP, so TLS and gRPC
go through untouched. The words are Toxiproxy's: a fault is a *toxic*, *upstream* is what flows from
the client to the server, *downstream* what flows back. Toxiproxy counts milliseconds and kilobytes;
this counts seconds and bytes, and its names say so (`latency_seconds`, `bytes_per_second`).

`chaos.network.toxics` has the toxics, `chaos.network.journal` what a line records. Lines run in the
process of `chaos.wire`, which also holds gRPC and HTTP calls.
"""
