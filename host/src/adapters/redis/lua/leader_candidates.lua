#!lua flags=no-writes
-- Who waits for the lease.
-- KEYS: candidates
-- ARGV: 1 time
-- Uses: base candidates
-- Returns for each: holder, host, score
local found = {}
local lines = call('HGETALL', CANDIDATES)
for n = 1, #lines, 2 do
  local score, host = candidate(lines[n + 1])
  if score then
    found[#found + 1] = lines[n]
    found[#found + 1] = host
    found[#found + 1] = score
  end
end
return found
