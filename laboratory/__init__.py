"""How the towers of `lite-clip` were made; see README.md. Not part of the package."""
