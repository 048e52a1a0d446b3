#!lua flags=allow-oom
-- Records what came of an effect; the first result stays. Also when the claim has been lost: it did happen.
-- KEYS: data effects
-- ARGV: 1 time, 2 key, 3 result
-- Uses: base effects
-- Returns 1, or 0 if the effect was never begun
local effect = unpacked(call('HGET', EFFECTS, 'e' .. ARGV[2]), ARGV[2])
if not effect then return 0 end
if effect[E_DONE] == 0 then
  effect[E_DONE], effect[E_RESULT] = 1, ARGV[3]
  call('HSET', EFFECTS, 'e' .. ARGV[2], cmsgpack.pack(effect))
end
return 1
