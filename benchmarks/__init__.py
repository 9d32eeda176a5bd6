"""How fast the library is, beside every other way that we know; see README.md here."""
