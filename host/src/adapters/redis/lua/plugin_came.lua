#!lua flags=allow-oom
-- Makes items ready that were left to others because a host could not run their plugin; those that are not are left alone.
-- KEYS: data index ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low active failures
-- KEYS: backoff events wake
-- ARGV: 1 time, then item ids
-- Uses: base ranks writes signals agents items order places
-- Returns how many were
local came = 0
for n = 2, #ARGV do
  local id = ARGV[n]
  local m = item_of(id)
  if m and m[STATE] == 'd' and m[NOTE] == LEFT_TO_OTHERS then
    put(id, m, agent_of(m[AGENT], m[NAME]), 'q', '', 0, 0)
    came = came + 1
  end
end
-- Whoever asks claims them; another host might only put them back.
readied = 0
save()
return came
