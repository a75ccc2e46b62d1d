"""The one way to change anything. Services know the rules of the domain, the store, and whom to tell."""
