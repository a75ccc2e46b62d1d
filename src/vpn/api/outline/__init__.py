"""The management API of Outline, on a listener and below a secret path of its own (docs/outline.md)."""
