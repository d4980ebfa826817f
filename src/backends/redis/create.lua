-- SPDX-License-Identifier: MIT
--
-- Makes the store if there is none, and tries what commits need. KEYS: the head of partition 0, and
-- the names of its outcomes, log, undo log, one for trials, records and ordered keys. ARGV: the format, a random
-- constant, '1' if it may be made, '1' if it is only read, a channel. Answers what is there: the
-- format and the constant, or nothing.
local call = redis.call
local kind = call('TYPE', KEYS[1]).ok
if kind ~= 'none' and kind ~= 'hash' then return {'foreign', kind} end
local found = call('HMGET', KEYS[1], 'format', 'constant')
if kind == 'hash' and not (found[1] and found[2]) then return {'foreign', kind} end
if not found[1] then
  if ARGV[3] ~= '1' or ARGV[4] == '1' then return {'none'} end
  -- What may be left of a store without its head.
  for k = 2, #KEYS do
    if k ~= 5 and call('EXISTS', KEYS[k]) == 1 then return {'rest', KEYS[k]} end
  end
end
if ARGV[4] ~= '1' then
  -- Nothing of this is left, or only the key for trials: whoever lacks a right is told by the error.
  local trial = KEYS[5]
  call('TIME')
  call('UNLINK', trial)
  call('HSET', trial, 'trial', '0')
  call('HINCRBY', trial, 'trial', '1')
  call('HMGET', trial, 'trial')
  call('HGET', trial, 'trial')
  call('HLEN', trial)
  call('HKEYS', trial)
  call('HRANDFIELD', trial, 1)
  call('HDEL', trial, 'trial')
  local segment = KEYS[#KEYS]
  call('ZCARD', segment)
  call('ZADD', segment, 'XX', '0', 'trial')
  call('ZREM', segment, 'trial')
  call('ZRANGEBYLEX', segment, '[a', '[a', 'LIMIT', 0, 1)
  call('ZREVRANGEBYLEX', segment, '[a', '[a', 'LIMIT', 0, 1)
  call('ZLEXCOUNT', segment, '[a', '[a')
  call('LLEN', KEYS[3])
  call('LRANGE', KEYS[3], 0, 0)
  call('XRANGE', KEYS[4], '1', '1')
  call('RPUSH', KEYS[3], '')
  call('LTRIM', KEYS[3], 0, -2)
  call('XADD', trial, '1-0', 'trial', '1')
  call('XLEN', trial)
  call('XTRIM', trial, 'MAXLEN', 0)
  call('UNLINK', trial)
  call('PUBLISH', ARGV[5], '')
end
if not found[1] then
  call('HSET', KEYS[1], 'format', ARGV[1], 'constant', ARGV[2])
  return {ARGV[1], ARGV[2]}
end
return found
