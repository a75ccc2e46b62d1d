"""The database, and nothing else touches it.

`database` opens and migrates it, `tables` describes it, one module per aggregate reads and writes it, and
`secrets` seals what protocols must know in clear with a key that lies outside of it.
"""
