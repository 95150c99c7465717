-- Read a checkpoint, and lock it until the transaction ends; no row if there is none, or somebody else has it locked.
SELECT position FROM projection_checkpoints WHERE projection = %(projection)s::text FOR UPDATE SKIP LOCKED
