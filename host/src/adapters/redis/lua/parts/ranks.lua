-- The keys of each priority.
local LISTS = { [0] = QUEUE_HIGH, QUEUE_NORMAL, QUEUE_LOW }
local READY = { [0] = READY_HIGH, READY_NORMAL, READY_LOW }
-- The counter of its direct items that are ready.
local DIRECT_COUNTER = { [0] = 'cd0', 'cd1', 'cd2' }
