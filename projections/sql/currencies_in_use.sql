-- Read the currencies that accounts are kept in, by one index probe each; locks nothing.
WITH RECURSIVE in_use (currency) AS (
    SELECT min(currency) FROM account_summary
    UNION ALL
    SELECT (SELECT min(currency) FROM account_summary WHERE currency > in_use.currency)
    FROM in_use
    WHERE in_use.currency IS NOT NULL
)
SELECT currency FROM in_use WHERE currency IS NOT NULL ORDER BY currency
