-- Delete old refusals, a bounded number of them; locks their rows. One row: how many there were.
SELECT forget_refusals(
    recorded_before => %(recorded_before)s::timestamptz, max_refusals => %(limit)s::integer
)
