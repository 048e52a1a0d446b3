#!lua
-- Records an event.
-- KEYS: data events wake
-- ARGV: 1 time, 2 kind, 3 agent, 4 item, 5 host, 6 detail
-- Uses: base signals
can_tell()
tell(ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
return 1
