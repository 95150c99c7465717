"""What others do with the same work, on the same server in the same run."""
