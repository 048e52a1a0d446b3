#!lua flags=allow-oom
-- Records that an effect certainly did not happen: it is forgotten and its count given back.
-- KEYS: data effects effect_ages
-- ARGV: 1 time, 2 item, 3 token, 4 agent, 5 key
-- Uses: base items held effects
-- Errors: STALE
check_claim(ARGV[2], ARGV[3], ARGV[4])
local effect = unpacked(call('HGET', EFFECTS, 'e' .. ARGV[5]), ARGV[5])
if not effect or effect[E_DONE] == 1 then return 0 end
call('ZREM', EFFECT_AGES, ARGV[5])
call('HDEL', EFFECTS, 'e' .. ARGV[5])
local count = of_day(effect[E_COUNTER], effect[E_DAY])
if count > 0 then set_of_day(effect[E_COUNTER], effect[E_DAY], count - 1) end
local in_thread = effect[E_THREAD]
if in_thread ~= '' and call('HINCRBY', EFFECTS, in_thread, -1) <= 0 then call('HDEL', EFFECTS, in_thread) end
return 1
