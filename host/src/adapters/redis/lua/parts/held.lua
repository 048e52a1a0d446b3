-- Refuse what is done under a claim that is not the agent's current one (I12).
local function check_claim(id, token, agent)
  local text = read('m' .. id)
  local held = text and sub(text, 1, 38) == 'a\t' .. token and match(text, '\n[-W]([^\t\n]*)\t', 39) == agent
  if not held then refuse('STALE', 'the claim has ended') end
end
