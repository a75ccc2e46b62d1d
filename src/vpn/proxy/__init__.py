"""The embedded engine: our own data plane.

A worker is a process of its own that knows no database and no web framework. It is one epoll loop
(`poller`) that calls plain functions on raw non-blocking sockets:

    listener ──► handshake ──► connector ──► relay
                   │  ▲           │
       protocols ◄─┘  │           └─► resolver
       (parsers)      └── credentials

On the daemon's side, `binding` opens the listening sockets, `supervisor` hands snapshots to all workers
and takes in their reports, and `worker_process` keeps one worker running, whose `surroundings` are the same for all.
`control` holds the messages between the two sides, `channel` carries them.
"""
