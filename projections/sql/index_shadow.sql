-- Give a filled shadow its indexes and statistics; locks the shadow.
SELECT index_shadow(projection => %(projection)s)
