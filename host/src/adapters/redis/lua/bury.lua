#!lua flags=allow-oom
-- Gives up on claimed items whose JSON is not an item.
-- KEYS: data index ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low active failures
-- KEYS: backoff events wake
-- ARGV: 1 time, then for each: item, token, what is wrong with it
-- Uses: base ranks writes signals agents items order places
-- Returns how many were
local buried = 0
for at = 2, #ARGV, 3 do
  local id = ARGV[at]
  local m = item_of(id)
  if m and m[STATE] == 'a' and m[TOKEN] == ARGV[at + 1] then
    local a = agent_of(m[AGENT], m[NAME])
    -- Its token has claimed nothing: a claim knows by the dead item that it is good for the next.
    finish(id, m, a, 'x', ARGV[at + 2])
    tell('item_unreadable', m[AGENT], id, '', ARGV[at + 2])
    release_waiting(m[AGENT], a)
    buried = buried + 1
  end
end
save()
return buried
