-- Idle hosts ask for work often: they are answered before anything else is asked, the time included. Nothing at all says
-- that a sweep would find nothing either.
local there = redis.call('EXISTS', READY_HIGH, READY_NORMAL, READY_LOW, LEASES, QUEUE_HIGH, QUEUE_NORMAL, QUEUE_LOW, WAKE, DELAYED, ACTIVE, BACKOFF)
if there == 0 then return {} end
-- What is there may be nothing for a claim.
if there <= 3 and redis.call('EXISTS', READY_HIGH, READY_NORMAL, READY_LOW, LEASES, QUEUE_HIGH, QUEUE_NORMAL, QUEUE_LOW, WAKE) == 0 then return { 0, 0 } end
