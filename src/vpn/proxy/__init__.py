"""The embedded engine: our own data plane.

A worker is a process of its own that knows no database and no web framework. It is one epoll loop
(`poller`) that calls plain functions on raw non-blocking sockets:

    listener ──► handshake ──► connector ──► relay
                   │  ▲           │
       protocols ◄─┘  │           └─► resolver
       (parsers)      └── credentials

`supervisor` is the daemon's side: it starts workers, hands them their listening sockets and snapshots,
and takes in their reports. `control` holds the messages between the two, `channel` carries them.
"""
