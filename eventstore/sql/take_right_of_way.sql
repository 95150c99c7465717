-- Keep others from appending until it is given back, and hear what they wrote; takes the lock that each append shares.
SELECT head, events::text
FROM take_right_of_way(at_most_idle => %(at_most_idle)s::text, seen_position => %(seen_position)s::bigint)
