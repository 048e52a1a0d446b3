-- Idle hosts ask for work often: they are answered before anything else is asked, the time included. Nothing at all says
-- that a sweep would find nothing either.
local there = redis.call('EXISTS', READY_HIGH, READY_NORMAL, READY_LOW, LEASES, QUEUE_HIGH, QUEUE_NORMAL, QUEUE_LOW, WAKE, DELAYED, ACTIVE, BACKOFF)
if there == 0 then return {} end
local highest = redis.call('ZRANGE', READY_HIGH, 0, ARGV[4] - 1)
-- What is there may be nothing for a claim.
if there <= 3 and #highest == 0 and redis.call('EXISTS', READY_NORMAL, READY_LOW, LEASES, QUEUE_HIGH, QUEUE_NORMAL, QUEUE_LOW, WAKE) == 0 then return { 0, 0 } end
