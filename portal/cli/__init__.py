"""The `mercato` command: an HTTP client of a Mercato instance. It imports none of the server's code."""
