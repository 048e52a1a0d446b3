#!lua flags=allow-oom
-- Keeps what a host says of itself, unless it has left: a word (b: it beats), the time, for how many ms it lives without
-- another beat, and its own words; of one that has left, under `left:` and its name (see `host_leave.lua`). The first beat of
-- a process forgets others: those that have been silent for long, those that can't be read, and the most silent ones where
-- there are too many.
-- KEYS: hosts
-- ARGV: 1 time, 2 host, 3 for how many ms it lives, 4 its words, 5 ms after which a silent one is forgotten, 6 how many are kept
-- Uses: base
-- Returns 1, or 0 if it has left
if call('HSET', HOSTS, ARGV[2], string.format('b %.0f %s %s', now, ARGV[3], ARGV[4])) == 0 then return 1 end
if call('HEXISTS', HOSTS, 'left:' .. ARGV[2]) == 1 then
  call('HDEL', HOSTS, ARGV[2])
  return 0
end

local all, others = call('HGETALL', HOSTS), {}
for n = 1, #all, 2 do
  local at = tonumber(string.match(all[n + 1], '^%a (%d+) %d+ ') or 0)
  if now - at > tonumber(ARGV[5]) then
    call('HDEL', HOSTS, all[n])
  elseif all[n] ~= ARGV[2] then
    others[#others + 1] = { at, all[n] }
  end
end
table.sort(others, function(a, b) return a[1] > b[1] end)
for n = tonumber(ARGV[6]), #others do call('HDEL', HOSTS, others[n][2]) end
return 1
