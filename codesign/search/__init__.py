"""Search for bit widths per output channel and activation, under the limits of a board or a budget."""
