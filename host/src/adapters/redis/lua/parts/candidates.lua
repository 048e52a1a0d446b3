-- Who waits for the lease: a hash of holder → 'score until host'. An entry whose time is up is nobody's.
local function candidate(line)
  local score, till, host = string.match(line, '^(-?%d+) (%d+) (.*)$')
  if score and tonumber(till) > now then return tonumber(score), host end
end
