"""Share links: what a user pastes into a client, and documents of several. Text in, text out; no I/O.

A link is a frozen struct, checked when it is made: what could not be written does not exist. Each scheme has a module
with `build(link) -> str` and `parse(text) -> link`, and `parse(build(link)) == link`. `schemes` knows them all.
"""
