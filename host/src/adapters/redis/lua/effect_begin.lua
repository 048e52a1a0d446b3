#!lua flags=allow-oom
-- Records that an effect is about to happen, and counts it.
-- KEYS: data effects effect_ages
-- ARGV: 1 time, 2 item, 3 token, 4 agent, 5 key, 6 kind, 7 name and 8 value of the daily limit,
--       9 thread or empty, 10 limit of the thread
-- Uses: base items held effects
-- Returns {'fresh'} | {'unknown'} | {'done', result} | {'limit', words}
-- Errors: STALE
local token, agent, key, kind, thread = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[9]
check_claim(ARGV[2], token, agent)
local known = unpacked(call('HGET', EFFECTS, 'e' .. key), key)
if known then
  if known[E_DONE] == 1 then return { 'done', known[E_RESULT] } end
  -- The same claim asks again: its first answer was lost on the way, and it gets that answer again.
  return { known[E_TOKEN] == token and 'fresh' or 'unknown' }
end
local counter, in_thread = 'd' .. kind .. '\n' .. agent, ''
local count = of_day(counter, today)
if count >= tonumber(ARGV[8]) then
  return { 'limit', ARGV[7] .. ' of ' .. ARGV[8] .. ' per UTC day is used up' }
end
if thread ~= '' then
  in_thread = 't' .. agent .. '\n' .. thread
  if kind == 'comment' and tonumber(call('HGET', EFFECTS, in_thread) or 0) >= tonumber(ARGV[10]) then
    return { 'limit', 'max_responses_per_thread of ' .. ARGV[10] .. ' is used up in ' .. thread }
  end
end
call('ZADD', EFFECT_AGES, now, key)
call('HSET', EFFECTS, 'e' .. key, cmsgpack.pack({ '', token, 0, in_thread, counter, today }))
set_of_day(counter, today, count + 1)
if in_thread ~= '' then call('HINCRBY', EFFECTS, in_thread, 1) end
return { 'fresh' }
