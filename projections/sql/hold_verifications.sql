-- Wait until no slice of a verification is under way, and let none begin until this transaction ends. Locks verified_streams,
-- which each slice locks first, against everything but reads.
LOCK TABLE verified_streams IN EXCLUSIVE MODE
