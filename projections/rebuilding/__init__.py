"""Rebuilds a read model from the first event on, in a shadow of it, and swaps the two while reads and writes go on."""
