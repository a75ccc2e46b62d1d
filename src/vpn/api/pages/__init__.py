"""Pages for people, each a text of its own: nothing is loaded from elsewhere, and none needs its script."""
