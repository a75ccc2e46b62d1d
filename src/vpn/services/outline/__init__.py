"""Outline: users as access keys, for programs that manage Outline servers (docs/outline.md)."""
