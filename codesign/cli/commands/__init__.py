"""One file per command; adding a file with a `command` in it adds the command."""
