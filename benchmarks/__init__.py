"""What is measured, side by side with its limit in one run."""
