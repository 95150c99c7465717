-- Put a shadow in the place of the live read model; locks that against everybody, from when it can to the commit.
SELECT swap_shadow(projection => %(projection)s, keep => %(keep)s)
