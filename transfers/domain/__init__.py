"""What a transfer is and how it goes on, in plain Python."""
