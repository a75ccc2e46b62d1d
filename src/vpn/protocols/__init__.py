"""Wire protocols: bytes in, events out, no I/O.

Theory of operation
===================

A parser is a generator made from a `Reader`. It is written top to bottom, the way the RFC tells the
story, and it never opens a socket, looks up a user or reads a clock. It yields what it wants next:

    None            more bytes; whoever drives it feeds the reader and calls `send(None)`
    Send            bytes for the client
    Authenticate    "is this the user's password?", answered with a bool
    Connect         "connect there", answered with `Connected` or `Refused`
    Bind            "wait for a connection", answered with `Bound` or `Refused`; then
    Accept          "is it there?", answered with `Connected` or `Refused`
    Associate       "relay datagrams", answered with `Bound` or `Refused`

It ends by returning, once its last reply was yielded. If the last answer was `Connected`, the tunnel
stands from then on and `reader.rest()` holds the bytes the client sent early; if it was `Bound`, datagrams
are relayed until the client closes. Anything the client did wrong raises `ProtocolError`, which carries the
reply the client should get.

`parse(reader, admitted=True)` serves a client that needs no credentials, because of its network or its
certificate. Who names a user all the same is asked for the password.

The modules `*_client` speak to upstream proxies. They are generators of the same kind that yield only `None`
and `Send`, return when the tunnel stands, and raise `UpstreamError`. `proxy_protocol` yields only `None` and
returns an address; `datagram` is plain functions.
"""
