#!lua flags=allow-oom
-- Frees an agent from an entry of `work:active` that isn't ours, once we have known it for 600 s and its runner has shown
-- no sign of life for 60 s.
-- KEYS: data active events wake heartbeat
-- ARGV: 1 time, 2 agent, 3 the entry's value
-- Uses: base signals
-- Returns 1 if it was freed
local AGE, SILENCE = 600000, 60000
local agent, value = ARGV[2], ARGV[3]
can_tell()
local known = unpacked(call('HGET', DATA, 'F' .. agent), 'F' .. agent)
if call('HGET', ACTIVE, agent) ~= value then
  call('HDEL', DATA, 'F' .. agent)
  return 0
end
-- Of which entry we know since when, and when its runner was alive last.
if not known or known[1] ~= value then known = { value, now, now } end
if call('EXISTS', HEARTBEAT) == 1 then known[3] = now end
if now - known[2] < AGE or now - known[3] < SILENCE then
  call('HSET', DATA, 'F' .. agent, cmsgpack.pack(known))
  return 0
end
call('HDEL', ACTIVE, agent)
call('HDEL', DATA, 'F' .. agent)
tell('foreign_claim_freed', agent, '', '', value .. ' has shown no sign of life')
return 1
