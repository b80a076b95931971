"""A site with nothing but logs, on the real web server in a process of its own: no database, no accounts."""
