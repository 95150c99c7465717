"""What is counted where commands meet the log."""

from prometheus_client import Counter, Histogram

APPENDS = Counter("eventstore_appends", "Commits written to the log, refusals among them.")
EVENTS_APPENDED = Counter("eventstore_events_appended", "Events written to the log.")
CONFLICTS = Counter("eventstore_conflicts", "Commits that met a stream at another version than expected.")
RETRIES = Counter("eventstore_retries", "Times that a command was decided again.")
DUPLICATES = Counter("eventstore_duplicates", "Commands answered with the stored verdict of their key.")
REFUSALS = Counter("eventstore_refusals", "Commands refused by a business rule, by its code.", ("code",))
CONTENTION = Counter("eventstore_contention", "Commands given up after too many conflicts.")
UNAVAILABLE = Counter("eventstore_unavailable", "Calls that the store could not answer.")
RIGHT_OF_WAY = Counter("eventstore_right_of_way", "Times that all other processes had to let this one write first.")
OVERLOADED = Counter("eventstore_overloaded", "Commands turned away because too many waited.")
BATCH_COMMANDS = Histogram(
    "eventstore_batch_commands", "Commands decided together.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 1000)
)
QUEUE_COMMANDS = Histogram(
    "eventstore_queue_commands",
    "Commands that went on waiting as a batch was taken.",
    buckets=(0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
)
CACHE_HITS = Counter("eventstore_cache_hits", "Streams whose state was at hand.")
CACHE_MISSES = Counter("eventstore_cache_misses", "Streams that had to be loaded.")
