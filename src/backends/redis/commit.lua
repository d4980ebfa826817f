-- SPDX-License-Identifier: MIT
--
-- One commit: checks everything, then writes everything. docs/format/redis.md says in which order,
-- commit_request.cpp writes the arguments.
--
-- Always holds: an error can only come before the first write. All types are looked at before it, by
-- reads; so are the user's rights (from Redis 7 on); what may fail on a value (HINCRBY, and the XADD of the undo log) is
-- called so that its error is an answer. Numbers of 64 bits are bytes or decimal digits, never Lua's
-- numbers, which have 53. Bytes are never compared by <, which follows the server's locale.
local A, K = ARGV, KEYS
local call, try = redis.call, redis.pcall
local num, sub, format = tonumber, string.sub, string.format
local pack, unpacked = struct.pack, struct.unpack
local DONE, CONFLICT, NOT_DONE = 0, 1, 2
local LEASED, FENCED, LATE, BURNT, GONE, OVERFLOW, REFUSED = 1, 2, 3, 4, 5, 8, 10
local NEW = string.rep('\0', 24)
local CHANGES = {'HSET', 'HDEL', 'ZADD', 'ZREM'}
local STEP = 4000  -- unpack() ends at 8,000
local EXACT = 9007199254740992
local LOG = 1000  -- entries; up to 63 more
local WEIGHT = 200000  -- of what the undo log may hold
local FEW = 64  -- records that are read at a time, however large
local LEASE = 1000000  -- a lease lasts no longer, in microseconds

local constant, latest, session, sequence, resent = A[1], num(A[2]), A[3], A[4], A[5] == '1'
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local parts = {}
local count = num(A[6])

-- Each batch has its keys and its arguments in a row.
do
  local k, a = 0, 6 + 2 * count
  for i = 1, count do
    parts[i] = {k = k, a = a, a0 = a}
    k = k + num(A[5 + 2 * i])
    a = a + num(A[6 + 2 * i])
  end
end

local function text_of(outcome, reason, states, given)
  if states and count == 1 and not (given and given[1]) then
    return string.char(outcome, reason, 1) .. parts[1].state
  end
  local all = {string.char(outcome, reason, states and count or 0)}
  if states then
    for i = 1, count do all[i + 1] = parts[i].state end
  end
  if given then all[#all + 1] = table.concat(given, ',') end
  return table.concat(all)
end

-- `if_room`: a server that is out of memory need not. Returns an error otherwise.
local function remember(text, if_room)
  for i = 1, count do
    local said = try('HSET', K[parts[i].k + 2], session, sequence .. pack('>I4', time[1]) .. text)
    if type(said) == 'table' and not (if_room and string.find(said.err, 'OOM', 1, true)) then
      return said
    end
  end
end

local function refuse(outcome, reason, states, more)
  local text = text_of(outcome, reason, states)
  local failed = resent and remember(text)
  if failed then return failed end
  local reply = more or {}
  table.insert(reply, 1, text)
  return reply
end

-- What is known is told by a master only: others take no HDEL.
if resent then call('HDEL', K[2], '') end

-- The heads, and what is known of this commit.
local known
for i = 1, count do
  local part = parts[i]
  local k = part.k
  local head = call('HMGET', K[k + 1], 'constant', 'state', 'lease', 'snap')
  if head[1] ~= constant then
    if head[1] or call('HGET', K[k + 5], 'constant') ~= constant then
      return {text_of(NOT_DONE, GONE)}
    end
    part.new = true
  end
  part.state, part.lease, part.snap = head[2] or NEW, head[3], head[4]
  local last = call('HGET', K[k + 2], session)
  part.adds = not last
  if last and not known then
    local own = sub(last, 1, 8)
    if own == sequence then
      known = {sub(last, 13)}
    elseif unpacked('>I8', own) > unpacked('>I8', sequence) then
      known = {text_of(NOT_DONE, BURNT)}
    end
  end
end
if known then return known end
if now > latest then return refuse(NOT_DONE, LATE) end

local writes = false
for i = 1, count do
  local part = parts[i]
  part.writes = A[part.a + 1] == '1'
  writes = writes or part.writes
  local fence, lease = A[part.a + 2], part.lease
  local left = lease and unpacked('>I8', lease, 9) - now or 0
  if left > LEASE then left = 0 end  -- the server's clock was set back
  if fence ~= '' then
    if left <= 0 or sub(lease, 1, 8) ~= fence then return refuse(NOT_DONE, FENCED) end
  elseif left > 0 and part.writes then
    return refuse(NOT_DONE, LEASED, nil, {left})
  end
end

-- Types and rights. A read of a key of another type is an error, and nothing was written yet.
for i = 1, count do
  local part = parts[i]
  local k, types = part.k + 5, A[part.a + 7]
  for n = 1, #types do
    local type = sub(types, n, n)
    if type == 'r' then
      call('HLEN', K[k + n])
    elseif type == 'x' then
      call('ZCARD', K[k + n])
    end
  end
  if part.writes then call('LLEN', K[part.k + 3]) end
  if part.snap then call('XLEN', K[part.k + 4]) end
end
local may = redis.acl_check_cmd
if may then
  local refused
  if not may('HSET', K[1], '', '') then refused = 'HSET' end
  if writes then
    if not may('RPUSH', K[3], '') then refused = refused or 'RPUSH' end
    for i = 1, count do
      local part = parts[i]
      local function look(...)
        if not refused and not may(...) then refused = select(1, ...) end
      end
      if not may('PUBLISH', A[part.a + 3], '') then refused = refused or 'PUBLISH' end
      if string.byte(part.state, 8) % 64 == 63 then look('LTRIM', K[3], '0', '1') end
      if A[part.a + 5] ~= '0' then look('ZRANGEBYLEX', K[1], '[a', '[a') end
      if part.snap then
        look('XADD', K[4], '*', '', '')
        look('UNLINK', K[4])
        look('XTRIM', K[4], 'MAXLEN', '1')
      end
      if A[part.a + 8] ~= 'HSET ' then
        for command in string.gmatch(A[part.a + 8], '%a+') do
          if command == 'HSET' then
            -- looked at above
          elseif command == 'ZADD' then
            look('ZADD', K[1], '0', '')
          elseif command == 'HINCRBY' then
            look('HINCRBY', K[1], '', '1')
          else
            look(command, K[1], '')
          end
        end
      end
    end
  end
  if refused then
    local words = 'the user has no right to run ' .. refused
    if refused == 'HSET' then return {text_of(NOT_DONE, REFUSED), words} end
    return refuse(NOT_DONE, REFUSED, nil, {words})
  end
end

-- Ranges. Byte order, whatever the locale.
local function less(a, b)
  local n = math.min(#a, #b)
  for i = 1, n do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function within(key, from, to)
  local least, most = sub(from, 2), sub(to, 2)
  if less(key, least) or less(most, key) then return false end
  return not (key == least and sub(from, 1, 1) == '(' or key == most and sub(to, 1, 1) == '(')
end

-- A range in the arguments: how it is kept ('z' in sorted sets, 'h' in hashes; 'i': see below), how many segments
-- and their keys, both ends, '1' if backwards, a number, a key. Returns what follows.
local function range_at(part, a)
  local range = {how = A[a], x = {}, r = {}}
  local n = num(A[a + 1])
  for i = 1, n do
    range.r[i] = K[part.k + num(A[a + 2 * i])]
    range.x[i] = K[part.k + num(A[a + 1 + 2 * i])]
  end
  a = a + 2 + 2 * n
  range.from, range.to, range.back = A[a], A[a + 1], A[a + 2] == '1'
  range.number, range.key = num(A[a + 3]), A[a + 4]
  return range, a + 5
end

-- The first fields, from place `skip` + 1, each with the number of its segment; in order.
local function first(range, skip, most)
  local found = {}
  if most <= 0 then return found end
  if range.how == 'z' and #range.x == 1 then
    local keys = range.back
      and call('ZREVRANGEBYLEX', range.x[1], range.to, range.from, 'LIMIT', skip, most)
      or call('ZRANGEBYLEX', range.x[1], range.from, range.to, 'LIMIT', skip, most)
    for i = 1, #keys do found[i] = {keys[i], 1} end
    return found
  end
  local all = {}
  for n = 1, #range.r do
    local keys
    if range.how == 'z' then
      keys = call('ZRANGEBYLEX', range.x[n], range.from, range.to, 'LIMIT', 0, skip + most)
    else
      keys = call('HKEYS', range.r[n])
    end
    for i = 1, #keys do
      if range.how == 'z' or within(keys[i], range.from, range.to) then
        all[#all + 1] = {keys[i], n}
      end
    end
  end
  table.sort(all, function(a, b)
    if range.back then return less(b[1], a[1]) end
    return less(a[1], b[1])
  end)
  for i = skip + 1, math.min(skip + most, #all) do found[#found + 1] = all[i] end
  return found
end

-- A range of few ids ('i'): the segment of each, as a digit; and the first one's key.
local function counted_ids(range)
  local space, hi, lo = sub(range.to, 1, 1), unpacked('>I4I4', range.to, 2)
  local fields, sum = {}, 0
  for i = 1, #range.from do
    local n = num(sub(range.from, i, i), 16) + 1
    fields[n] = fields[n] or {}
    table.insert(fields[n], space .. pack('>I4I4', hi, lo))
    lo = lo + 1
    if lo == 4294967296 then hi, lo = hi + 1, 0 end
  end
  for n, some in pairs(fields) do
    local values = call('HMGET', range.r[n], unpack(some))
    for i = 1, #some do
      if values[i] then sum = sum + 1 end
    end
  end
  return sum
end

local function counted(range)
  if range.how == 'i' then return counted_ids(range) end
  if range.how ~= 'z' then return #first(range, 0, EXACT) end
  local sum = 0
  for n = 1, #range.x do sum = sum + call('ZLEXCOUNT', range.x[n], range.from, range.to) end
  return sum
end

-- Predicates. The failed ones of a key are answered with what is there.
local holds, fresh = true, {}
for i = 1, count do
  local part = parts[i]
  local a = part.a + 11
  for _ = 1, num(A[a]) do  -- of keys, by segment: the fields, then what they must be
    local n = num(A[a + 2])
    local key = K[part.k + num(A[a + 1])]
    a = a + 2
    for from = 1, n, STEP do
      local to = math.min(from + STEP - 1, n)
      local values = call('HMGET', key, unpack(A, a + from, a + to))
      for j = from, to do
        local value, is = values[j - from + 1], A[a + n + j]
        local kind, fits = sub(is, 1, 1), false
        if kind == 'a' then
          fits = not value
        elseif not value then
          fits = false
        elseif kind == 'v' then
          fits = sub(value, 1, 8) == sub(is, 2)
        elseif kind == 's' then
          fits = value == sub(is, 2)
        elseif kind == 't' then  -- whatever its version
          fits = sub(value, 9) == sub(is, 2)
        elseif kind == 'n' then
          fits = sub(value, 9, 16) == sub(is, 2)
        elseif kind == 'h' then  -- its anchor is greater than 0
          local anchor = sub(value, 9, 16)
          fits = string.byte(anchor) < 128 and anchor ~= '\0\0\0\0\0\0\0\0'
        end
        if not fits then
          holds = false
          fresh[#fresh + 1] = A[a + 2 * n + j]
          fresh[#fresh + 1] = value
        end
      end
    end
    a = a + 3 * n
  end
  a = a + 1
  for _ = 1, num(A[a]) do  -- of ranges and of the state
    local kind = A[a + 1]
    if kind == 'p' or kind == 'u' then
      local is = kind == 'p' and sub(part.state, 17) or sub(part.state, 1, 16)
      if is ~= A[a + 2] then holds = false end
      a = a + 2
    else
      local range, behind = range_at(part, a + 2)
      a = behind - 1
      if kind == 'c' then
        if counted(range) ~= range.number then holds = false end
      else
        local row = range.number >= 1 and range.number < EXACT
          and first(range, range.number - 1, 1)[1]
        if not row or row[1] ~= range.key then holds = false end
      end
    end
  end
  part.a = a + 1
end
if not holds then return refuse(CONFLICT, 0, true, fresh) end

-- Operations. What they change is kept, to undo it exactly if a later one cannot be done.
local done, given = {}, {}

local function set(change, value)
  if value then
    call('HSET', change.r, change.field, value)
    if change.x then call('ZADD', change.x, 0, change.field) end
  else
    call('HDEL', change.r, change.field)
    if change.x then call('ZREM', change.x, change.field) end
  end
end

local function keep(part, r, x, field, old)
  local change = {part = part, r = r, x = x, field = field, old = old}
  done[#done + 1] = change
  return change
end

local function fail(outcome, reason, states)
  for i = #done, 1, -1 do set(done[i], done[i].old) end
  return refuse(outcome, reason, states)
end

for i = 1, count do
  local part = parts[i]
  local a = part.a
  for _ = 1, num(A[a]) do
    local kind = A[a + 1]
    if kind == 'r' then
      local range, behind = range_at(part, a + 2)
      a = behind - 1
      local rows = first(range, 0, range.number)
      for n = 1, #rows do
        local field, segment = rows[n][1], rows[n][2]
        local r, x = range.r[segment], range.how == 'z' and range.x[segment]
        set(keep(part, r, x, field, call('HGET', r, field)), false)
      end
      given[#given + 1] = format('%.0f', #rows)
    else
      local r, field, number = K[part.k + num(A[a + 2])], A[a + 4], A[a + 5]
      local x = A[a + 3] ~= '0' and K[part.k + num(A[a + 3])]
      local old = call('HGET', r, field)
      if kind == 'e' then
        if old then set(keep(part, r, x, field, old), false) end
        given[#given + 1] = old and '1' or '0'
        a = a + 4
      else
        a = a + 5
        if kind == 'l' then  -- the node's record, and its parent as bytes
          local anchor = A[a + 2] ~= '' and call('HGET', r, A[a + 1])
          if anchor and sub(anchor, 9, 16) == A[a + 2] then return fail(CONFLICT, 0, true) end
          a = a + 2
        end
        local sum = try('HINCRBY', r, field, number)
        if type(sum) == 'table' then
          if string.find(sum.err, 'overflow', 1, true) then return fail(NOT_DONE, OVERFLOW) end
          if #done == 0 then return sum end  -- nothing was written
          local answer = fail(NOT_DONE, REFUSED)
          answer[2] = sum.err
          return answer
        end
        local change = keep(part, r, x, field, old)
        if kind == 'l' and sum < 0 then return fail(CONFLICT, 0, true) end
        if sum >= EXACT or sum <= -EXACT then
          given[#given + 1] = call('HGET', r, field)
        else
          given[#given + 1] = format('%.0f', sum)
        end
        if kind == 'l' and sum == 0 then
          set(change, false)
        elseif not old then
          call('ZADD', x, 0, field)
        end
      end
    end
  end
  part.a = a + 1
end

-- The changes of one of CHANGES: groups of a key, and the arguments of the command.
local function groups(part, a, each)
  for _ = 1, num(A[a]) do
    local key, n = K[part.k + num(A[a + 1])], num(A[a + 2])
    for from = 1, n, STEP do each(key, a + 2 + from, a + 2 + math.min(from + STEP - 1, n)) end
    a = a + 2 + n
  end
  return a + 1
end

-- What changes are about to replace, as the undo log keeps it: '+' and the record, or '-'. It stops
-- where that is too much to be kept.
local function replaced(part)
  local was, weight = {'', sub(part.state, 9, 16)}, 1  -- first, the history before
  local function add(field, old)
    was[#was + 1] = field
    was[#was + 1] = old and '+' .. old or '-'
    weight = weight + 1 + (#field + (old and #old or 0)) / 320
  end
  local seen = {}
  for i = 1, #done do
    local change = done[i]
    if change.part == part and not seen[change.field] then
      seen[change.field] = true
      add(change.field, change.old)
    end
  end
  local function look(step)
    return function(key, from, to)
      for some = from, to, FEW * step do
        if weight > WEIGHT then return end
        local fields = {}
        for at = some, math.min(some + FEW * step - 1, to), step do fields[#fields + 1] = A[at] end
        local values = call('HMGET', key, unpack(fields))
        for n = 1, #fields do
          if not seen[fields[n]] then add(fields[n], values[n]) end
        end
      end
    end
  end
  groups(part, groups(part, part.a, look(2)), look(1))
  return was, weight
end

-- The history after this commit: history_after() of state_version.hpp, in halves of 32 bits.
local xor = bit.bxor
local function chained(hi, lo, by_hi, by_lo)
  hi, lo = xor(hi, by_hi) % 4294967296, xor(lo, by_lo) % 4294967296
  -- times 9e37 79b9 7f4a 7c15
  local low = lo * 0x7c15
  local mid = lo * 0x7f4a
  local top = lo * 0x9e37 + hi * 0x7f4a
  low = low + mid % 65536 * 65536
  local sum = low % 4294967296
  hi = ((low - sum) / 4294967296 + math.floor(mid / 65536) + lo * 0x79b9 + hi * 0x7c15
    + top % 65536 * 65536) % 4294967296
  lo = sum
  -- xor with itself, shifted by 29
  lo = xor(lo, math.floor(lo / 536870912) + hi % 536870912 * 8) % 4294967296
  return xor(hi, math.floor(hi / 536870912)) % 4294967296, lo
end

local function publish(part)
  local clock, hi, lo, pending = unpacked('>I8I4I4I8', part.state)
  local previous = sub(part.state, 9, 16)
  local by_hi, by_lo = unpacked('>I4I4', session)
  hi, lo = chained(hi, lo, by_hi, by_lo)
  by_hi, by_lo = unpacked('>I4I4', sequence)
  hi, lo = chained(hi, lo, by_hi, by_lo)
  clock = clock + 1
  local orphans = A[part.a0 + 5]
  if orphans == '2' then pending = clock end
  if orphans ~= '0' and pending ~= 0 then
    local x = K[part.k + num(A[part.a0 + 6])]
    if #call('ZRANGEBYLEX', x, A[part.a0 + 9], A[part.a0 + 10], 'LIMIT', 0, 1) == 0 then pending = 0 end
  end
  part.state = pack('>I8I4I4I8', clock, hi, lo, pending)
  local entry = part.state .. previous .. session .. sequence .. A[part.a0 + 4]
  call('RPUSH', K[part.k + 3], entry)
  if clock % 64 == 0 then call('LTRIM', K[part.k + 3], -LOG, -1) end
  call('PUBLISH', A[part.a0 + 3], entry)
  return clock
end

-- Views see the gap.
local function drop_undo(part)
  call('UNLINK', K[part.k + 4])
  try('HDEL', K[part.k + 1], 'weight')
end

local function keep_undo(part, clock, was, weight)
  local undo = K[part.k + 4]
  if weight > WEIGHT then return drop_undo(part) end
  for from = 1, #was, STEP do
    local id = format('%.0f-%.0f', clock, (from - 1) / STEP)
    local to = math.min(from + STEP - 1, #was)
    if type(try('XADD', undo, id, unpack(was, from, to))) == 'table' then
      drop_undo(part)  -- it is of another time
      if type(try('XADD', undo, id, unpack(was, from, to))) == 'table' then return end
    end
  end
  weight = math.ceil(weight) + num(call('HGET', K[part.k + 1], 'weight') or '0')
  if weight > WEIGHT then
    call('XTRIM', undo, 'MAXLEN', math.floor(call('XLEN', undo) / 2))
    weight = math.floor(weight / 2)
  end
  call('HSET', K[part.k + 1], 'weight', format('%.0f', weight))
end

for i = 1, count do
  local part = parts[i]
  if part.writes then
    local head = K[part.k + 1]
    local held = part.snap and unpacked('>I8', part.snap) > now
    local was, weight
    if held then was, weight = replaced(part) end
    local a = part.a
    for c = 1, 4 do
      local command = CHANGES[c]
      for _ = 1, num(A[a]) do
        local key, n = K[part.k + num(A[a + 1])], num(A[a + 2])
        a = a + 2
        for from = a + 1, a + n, STEP do
          call(command, key, unpack(A, from, math.min(from + STEP - 1, a + n)))
        end
        a = a + n
      end
      a = a + 1
    end
    local clock = publish(part)
    if held then
      keep_undo(part, clock, was, weight)
    elseif part.snap then
      drop_undo(part)
      try('HDEL', head, 'snap')
    end
    call('HSET', head, 'state', part.state)
    if part.new then call('HSET', head, 'constant', constant) end
    part.adds = part.adds or clock % 32 == 0
  end
end

-- Sessions that ended long ago: a few are looked at for each new one, and now and then. It does not
-- matter if that is refused.
for i = 1, count do
  if parts[i].adds then
    local outcomes = K[parts[i].k + 2]
    local some = try('HRANDFIELD', outcomes, 4, 'WITHVALUES')
    for n = 1, #some, 2 do
      if unpacked('>I4', some[n + 1], 9) + 86400 < num(time[1]) then
        try('HDEL', outcomes, some[n])
      end
    end
  end
end
local text = text_of(DONE, 0, true, given)
return remember(text, not writes) or {text}
