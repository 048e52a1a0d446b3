-- Refuse what is done under a claim that is not the agent's current one (I12).
local function check_claim(id, token, agent)
  local m = item_of(id)
  if not m or m[STATE] ~= 'a' or m[TOKEN] ~= token or m[AGENT] ~= agent then refuse('STALE', 'the claim has ended') end
end
