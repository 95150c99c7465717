-- Tell whether a projection has put any stream aside; locks nothing.
SELECT EXISTS (SELECT 1 FROM projection_failures WHERE projection = %(projection)s::text)
