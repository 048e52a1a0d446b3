#!lua flags=no-writes
-- Entries of `work:active` that aren't ours: another system runs those agents, or did when it died.
-- KEYS: data index active
-- ARGV: 1 time
-- Uses: base agents
-- Returns agent, value, agent, value …
local MOST = 200
local entries, found = call('HGETALL', ACTIVE), {}
for n = 1, #entries, 2 do
  local a = agent_of(entries[n])
  if (not a or a[A_ACTIVE] == '') and #found < MOST then
    found[#found + 1] = entries[n]
    found[#found + 1] = entries[n + 1]
  end
end
return found
