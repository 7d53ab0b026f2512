"""The command line: one file per command in `commands`, thin; the work is done in the rooms."""
