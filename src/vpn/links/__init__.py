"""Share links: what a user pastes into a client. Pure text, no I/O."""
