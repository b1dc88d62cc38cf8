"""The package index: its addresses, what it has and serves, upload tokens, and uploads (the only room with twine)."""
