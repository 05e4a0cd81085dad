"""Proxies that speak as workers do: Temporal's gRPC with the server, HTTP with services.

`python -m chaos.wire` is a process of its own. Each *line* is a port that a worker is given in the
place of the real one; all calls pass, whatever they hold, and of those that tell of work it is
known which *boundary* of which activity or task they are at. There a call can be held until
somebody decides about it. What passed is on record, the fourth witness: `chaos.wire.journal`.

`chaos.wire.control` is the client: it opens lines and sets breakpoints.
"""
