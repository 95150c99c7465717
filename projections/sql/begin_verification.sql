-- Wait until no read model is being replaced, and let none be as long as this transaction lasts; takes no look at anything.
-- Locks verified_streams, which it writes in the end.
LOCK TABLE verified_streams IN ROW EXCLUSIVE MODE
