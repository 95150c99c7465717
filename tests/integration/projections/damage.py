"""What can be done to a stream by a superuser, and by hand to what is derived from the log."""

TAMPERING = {
    "amount": "UPDATE events SET data = jsonb_set(data, '{amount}', '501') WHERE stream_id = %(s)s AND version = 3",
    "reason": "UPDATE events SET data = jsonb_set(data, '{reason}', '\"x\"') WHERE stream_id = %(s)s AND version = 5",
    "metadata": 'UPDATE events SET metadata = \'{"actor": "somebody"}\' WHERE stream_id = %(s)s AND version = 2',
    "time": "UPDATE events SET occurred_at = occurred_at + interval '1 us' WHERE stream_id = %(s)s AND version = 4",
    "no time": "UPDATE events SET occurred_at = 'infinity' WHERE stream_id = %(s)s AND version = 4",
    "before Christ": "UPDATE events SET occurred_at = '0044-03-15 BC' WHERE stream_id = %(s)s AND version = 4",
    "type": "UPDATE events SET event_type = 'MoneyWithdrawn' WHERE stream_id = %(s)s AND version = 2",
    "unknown type": "UPDATE events SET event_type = 'Nonsense' WHERE stream_id = %(s)s AND version = 2",
    "schema": "UPDATE events SET schema_version = 1 WHERE stream_id = %(s)s AND version = 2",
    "id": "UPDATE events SET event_id = gen_random_uuid() WHERE stream_id = %(s)s AND version = 2",
    "hash": "UPDATE events SET hash = sha256('') WHERE stream_id = %(s)s AND version = 3",
    "number": "UPDATE events SET data = jsonb_set(data, '{amount}', '1e30') WHERE stream_id = %(s)s AND version = 3",
    "fraction": "UPDATE events SET data = jsonb_set(data, '{amount}', '1.5') WHERE stream_id = %(s)s AND version = 3",
    "kind": "UPDATE events SET data = jsonb_set(data, '{amount}', '\"500\"') WHERE stream_id = %(s)s AND version = 3",
    "shape": "UPDATE events SET data = '{}' WHERE stream_id = %(s)s AND version = 1",
    "depth": "UPDATE events SET data = (repeat('{\"a\":', 2000) || '1' || repeat('}', 2000))::jsonb"
    " WHERE stream_id = %(s)s AND version = 3",
    "whose": "UPDATE events SET data = jsonb_set(data, '{accountId}', '\"other\"') WHERE stream_id = %(s)s",
}
"""By what is altered; `s` is the stream of an account with five events: opened, 1000, 500, -200, frozen."""

DAMAGED_ROWS = {
    "balance": "UPDATE account_summary SET balance = balance + 1 WHERE account_id = %(a)s",
    "owner": "UPDATE account_summary SET owner_id = 'somebody' WHERE account_id = %(a)s",
    "client": "UPDATE account_summary SET client_id = 'somebody' WHERE account_id = %(a)s",
    "status": "UPDATE account_summary SET status = 'ACTIVE' WHERE account_id = %(a)s",
    "version": "UPDATE account_summary SET version = 4 WHERE account_id = %(a)s",
    "update": "UPDATE account_summary SET updated_at = 'infinity' WHERE account_id = %(a)s",
    "missing account": "DELETE FROM account_summary WHERE account_id = %(a)s",
    "extra account": "INSERT INTO account_summary SELECT 'acc-0', owner_id, client_id, currency, status, balance,"
    " version, last_position, created_at, updated_at FROM account_summary WHERE account_id = %(a)s",
    "line's amount": "UPDATE account_statement SET amount = 1 WHERE account_id = %(a)s AND stream_version = 3",
    "line's balance": "UPDATE account_statement SET balance = 1 WHERE account_id = %(a)s AND stream_version = 2",
    "line's reason": "UPDATE account_statement SET reason = 'x' WHERE account_id = %(a)s AND stream_version = 5",
    "line's metadata": "UPDATE account_statement SET metadata = '{\"a\": 1}'"
    " WHERE account_id = %(a)s AND stream_version = 5",
    "line's place": "UPDATE account_statement SET stream_version = 7, position = 8000"
    " WHERE account_id = %(a)s AND stream_version = 2",
    "missing line": "DELETE FROM account_statement WHERE account_id = %(a)s AND stream_version = 2",
    "last line missing": "DELETE FROM account_statement WHERE account_id = %(a)s AND stream_version = 5",
    "no line": "DELETE FROM account_statement WHERE account_id = %(a)s",
    "line of another": "UPDATE account_statement SET account_id = 'acc-0'"
    " WHERE account_id = %(a)s AND stream_version = 2",
    "extra line": "INSERT INTO account_statement SELECT position + 10000, account_id, stream_version + 10000, event_id,"
    " event_type, amount, currency, balance, contra, transaction_id, transfer_id, counterparty, reason, description,"
    " metadata, occurred_at FROM account_statement WHERE account_id = %(a)s",
    "transfer's amount": "UPDATE transfer_status SET amount = amount - 1",
    "transfer's state": "UPDATE transfer_status SET state = 'PENDING'",
    "transfer's metadata": 'UPDATE transfer_status SET metadata = \'{"purpose": "theft"}\'',
    "missing transfer": "DELETE FROM transfer_status",
    "extra transfer": "INSERT INTO transfer_status (transfer_id, source_account_id, destination_account_id, amount,"
    " currency, metadata, state, failure_fields, attempts, version, first_position, last_position, created_at,"
    " updated_at) VALUES ('zzz', 'a', 'b', 1, 'USD', '{}', 'COMPLETED', '{}', 0, 1, 100000, 100000, now(), now())",
    "snapshot's balance": "UPDATE snapshots SET state = jsonb_set(state, '{balance}', '1')",
    "snapshot's hash": "UPDATE snapshots SET hash = sha256('')",
    "snapshot's time": "UPDATE snapshots SET occurred_at = '-infinity'",
    "snapshot's version": "UPDATE snapshots SET version = 99",
    "snapshot's shape": "UPDATE snapshots SET state = '{}'",
    "snapshot of nothing": "INSERT INTO snapshots SELECT 'account-zzz', schema_version, version, state, hash,"
    " occurred_at, recorded_at FROM snapshots LIMIT 1",
    "in flight": "INSERT INTO transfers_in_flight SELECT 'transfer-' || transfer_id, now() FROM transfer_status",
    "in flight of nothing": "INSERT INTO transfers_in_flight VALUES ('transfer-zzz', 'infinity')",
    "in flight of an account": "INSERT INTO transfers_in_flight VALUES ('account-' || %(a)s, NULL)",
}
"""By what is altered; `a` is the account."""
