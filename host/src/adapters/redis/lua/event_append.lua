#!lua
-- Records an event.
-- KEYS: data index ages active events
-- ARGV: 1 time, 2 kind, 3 agent, 4 item, 5 host, 6 detail
-- Uses: base writes
tell(ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
flush()
return 1
