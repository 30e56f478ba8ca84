"""One file a method, called what the user types; the registry imports them."""
