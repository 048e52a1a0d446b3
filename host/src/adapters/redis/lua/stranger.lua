#!lua flags=allow-oom
-- Frees an agent from an entry of `work:active` that isn't ours, once we have known it for 600 s and its runner has shown
-- no sign of life for 60 s.
-- KEYS: data index ages active events heartbeat
-- ARGV: 1 time, 2 agent, 3 the entry's value
-- Uses: base writes
-- Returns 1 if it was freed
local AGE, SILENCE = 600000, 60000
local agent, value = ARGV[2], ARGV[3]
local entry = unpacked(read('F' .. agent), 'F' .. agent)
if call('HGET', ACTIVE, agent) ~= value then
  call('HDEL', DATA, 'F' .. agent)
  return 0
end
-- Of which entry we know since when, and when its runner was alive last.
if not entry or entry[1] ~= value then entry = { value, now, now } end
if call('EXISTS', HEARTBEAT) == 1 then entry[3] = now end
if now - entry[2] < AGE or now - entry[3] < SILENCE then
  call('HSET', DATA, 'F' .. agent, cmsgpack.pack(entry))
  return 0
end
call('HDEL', DATA, 'F' .. agent)
acting[agent] = false
tell('foreign_claim_freed', agent, '', '', value .. ' has shown no sign of life')
flush()
return 1
