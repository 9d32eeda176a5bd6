"""What libraries do when something goes wrong, each in the same cases; see README.md here."""
