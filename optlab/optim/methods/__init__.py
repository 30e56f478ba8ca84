"""One file for each method, with the name that a user types; see the registry."""
