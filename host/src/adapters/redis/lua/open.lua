#!lua flags=allow-oom
-- Says what the store is and when it is; makes one where there is none.
-- KEYS: meta
-- ARGV: 1 time, 2 schema, 3 an incarnation id, for a store that is made now
-- Uses: base
-- Returns {schema, incarnation, now}
local kept = call('HMGET', META, 'schema', 'incarnation')
if not kept[1] then
  call('HSET', META, 'schema', ARGV[2], 'incarnation', ARGV[3])
  kept = { ARGV[2], ARGV[3] }
end
return { kept[1], kept[2] or '', now }
