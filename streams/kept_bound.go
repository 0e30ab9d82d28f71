package streams

// keepLua adds entries to a stream that keeps only the newest ones: the quarantine or the unrouted
// messages. A hash {entries, bytes} beside the stream holds its size, so that nobody has to add it up.
// A script that removes an entry does so with forget. If the hash disagrees with the length of the
// stream, somebody removed entries by hand; the bytes are then assumed to have shrunk in proportion.
//
// keep(stream, sizes, entries, bytes, fields, n) returns how many old entries it removed. XADD comes first:
// it fails when Redis is out of memory, and nothing is changed. One script removes only as much as keep_work
// allows, where an entry costs 1 plus 1 for each 8 KiB; the next script goes on.
// forget(stream, sizes, entry) removes one entry, and returns how many that were: 0 or 1.
const keepLua = `
local keep_work = 1000
local function size_of(fields, n)
  local size = 0
  for i = 1, n do size = size + #fields[i] end
  return size
end
local function kept_bytes(stream, sizes, length)
  local had = redis.pcall('HMGET', sizes, 'entries', 'bytes')
  local entries, bytes = tonumber(had[1] or 0) or 0, tonumber(had[2] or 0) or 0
  if entries == length then return bytes end
  if entries <= 0 then return 0 end
  return math.floor(bytes / entries * length)
end
local function note_kept(sizes, length, bytes)
  if length == 0 then redis.pcall('DEL', sizes)
  else redis.pcall('HSET', sizes, 'entries', length, 'bytes', math.max(0, bytes)) end
end
local function keep(stream, sizes, longest, largest, fields, n)
  redis.call('XADD', stream, '*', unpack(fields, 1, n))
  local length, lost = redis.call('XLEN', stream), 0
  local bytes = kept_bytes(stream, sizes, length - 1) + size_of(fields, n)
  while (length > longest or bytes > largest) and length > 1 and keep_work > 0 do
    local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    redis.call('XDEL', stream, oldest[1])
    local size = size_of(oldest[2], #oldest[2])
    length, bytes, lost, keep_work = length - 1, bytes - size, lost + 1, keep_work - 1 - size / 8192
  end
  note_kept(sizes, length, bytes)
  return lost
end
local function forget(stream, sizes, entry)
  local bytes = kept_bytes(stream, sizes, redis.call('XLEN', stream))
  if redis.call('XDEL', stream, entry[1]) == 0 then return 0 end
  note_kept(sizes, redis.call('XLEN', stream), bytes - size_of(entry[2], #entry[2]))
  return 1
end
`
