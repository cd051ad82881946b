-- SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
-- From what the nodes contribute to the one record of a subject. The rule is core/merge.c's too;
-- tests/vectors/merge.tsv holds both to it. WORD comes from core/statuses.def.
local ttl, maxlen, floor = ARGV[7], ARGV[8], tonumber(ARGV[9])
local events, own = base .. 'events', 'd:' .. node .. '/'
local meta_rev = 0 -- the highest rev of the partition
-- By name, until the subject is changed: the fields of its state, and how long its record is.
local states, lengths = {}, {}
-- What many contributions of a call change a little of, written once at its end: by role and encoded
-- id the score, or false for none; by name whether this node has the subject.
local scores, members = {}, {}

local function is_own(field)
	return string.sub(field, 1, #own) == own
end

local function is_read(name)
	return states[name] ~= nil
end

-- Looks at a subject before anything is written. Or, of a key that is not ours, type and name.
local function subject_read(name)
	local key = base .. 'subject:' .. name
	local length, found = key_length(key, 'hash')
	if not length then return found, key end
	key = base .. 'state:' .. name
	local state, fits = redis.pcall('HGETALL', key), true
	if state.err then
		found, fits = key_type(key, 'hash')
		if not fits then return found, key end
		state = redis.call('HGETALL', key) -- another error: raised
	end
	states[name], lengths[name] = state, length
end

-- The devices of a subject by their field, the rev of its record, whether there is any state, and
-- how long the record is, nil for unknown. An entry of a later format is kept and counts for nothing.
local function state_read(name)
	local flat, length = states[name], lengths[name]
	if flat then
		states[name], lengths[name] = nil, nil
	else
		flat = redis.call('HGETALL', base .. 'state:' .. name)
	end
	local devices, rev = {}, 0
	for i = 1, #flat, 2 do
		if flat[i] == 'rev' then
			rev = tonumber(flat[i + 1]) or 0
		else
			local at, rank, of, note = string.match(flat[i + 1],
				'^1|(%d+)|(%d+)|(%d+)|%d+|(.*)$')
			devices[flat[i]] = { epoch = tonumber(at or '0'), rank = tonumber(rank or '0'),
				rev = tonumber(of or '0'), note = note or '' }
		end
	end
	return devices, rev, #flat > 0, length
end

-- The highest rank, how many devices are up, the note of the latest among those that decide (of two
-- nodes' in the same microsecond, not the one that pairs() finds first), whether another node has
-- one up, and how many.
local function highest(devices)
	local rank, count, note, noted, others = 0, 0, '', -1, 0
	for field, d in pairs(devices) do
		if d.rank > 0 then
			count = count + 1
			if not is_own(field) then others = others + 1 end
		end
		if d.rank > rank or (d.rank == rank and
			(d.rev > noted or (d.rev == noted and d.note > note))) then
			rank, note, noted = d.rank, d.note, d.rev
		end
	end
	return rank, count, note, others > 0, others
end

-- status, note, until, devices, source
local function merge(c, devices)
	local rank, count, note, _, theirs = highest(devices)
	if rank == 0 then return 'offline', '', 0, 0, 'inferred' end
	local o = override_read(c.name)
	local status = o and o.status
	-- Lost here, not here yet or, by a clock of ours, over: what somebody did while the node says that
	-- they are not to be seen stays unseen.
	if count > theirs and c.status == 'offline' then status = 'offline' end
	if status == 'offline' then return 'offline', '', 0, 0, 'inferred' end
	if status then
		-- That who was online is now said to be is no transition: the record need not tell.
		local same = theirs == 0 and c.status == status and c.note == o.note and c.till == o.till
		return status, o.note, o.till, count, same and c.source or 'manual'
	end
	-- Lost here, or over by a clock of ours, while the node says that it is in force.
	local holds = not o or (o.word ~= 'none' and o.till == c.till)
	if holds and count > theirs and c.source == 'manual' then
		return c.status, c.note, c.till, count, 'manual'
	end
	if c.status == WORD[rank] then return c.status, c.note, c.till, count, c.source end
	return WORD[rank], note, 0, count, 'inferred'
end

-- The record as it stands. Most contributions do not need it: read when asked for, once.
local function record_reader(key, length)
	local old = length == 0 and { note = '', till = '0', rev = 0 } or nil
	return function()
		if old then return old end
		local v = redis.call('HMGET', key, 'status', 'previous', 'since', 'last_seen', 'devices',
			'note', 'until', 'node', 'rev')
		old = { status = v[1], previous = v[2], since = v[3] and tonumber(v[3]),
			last_seen = v[4] and tonumber(v[4]), devices = v[5], note = v[6] or '',
			till = v[7] or '0', node = v[8], rev = tonumber(v[9] or '0') }
		return old
	end
end

-- since, previous. Alone with the subject a node knows best; otherwise continuity is what Redis
-- holds. was: the status before, if the record is gone.
local function continuity(c, status, alone, old, was)
	if alone and c.since and status == c.status then return c.since, c.previous end
	was = old().status or was
	if status ~= was then return c.at, was end
	return old().since or c.since or c.at, old().previous or c.previous or 'offline'
end

local function last_seen(c, status, others, old)
	if c.last_seen and not others and status == c.status then return c.last_seen end
	local before = old().last_seen or 0
	-- Invisible: it froze.
	if before > 0 and status == 'offline' and old().status == 'offline' and status ~= c.status then
		return before
	end
	if not c.last_seen then return before > 0 and before or now end
	return others and math.max(before, c.last_seen) or c.last_seen
end

local function differs(r, old)
	return old.status and (old.status ~= r.status or old.previous ~= r.previous or
		old.since ~= r.since or old.devices ~= text[r.devices] or old.note ~= r.note or
		old.till ~= text[r.till])
end

-- How many fields were not there before.
local function fields_write(key, c, r)
	local added = redis.call('HSET', key, 'v', '1', 'role', c.role, 'id', c.id, 'status', r.status,
		'previous', r.previous, 'reason', c.reason, 'source', r.source,
		'devices', text[r.devices], 'since', text[r.since], 'last_seen', text[r.last_seen],
		'rev', text[r.rev], 'node', node)
	if r.note ~= '' then added = added + redis.call('HSET', key, 'note', r.note) end
	if r.till > 0 then added = added + redis.call('HSET', key, 'until', text[r.till]) end
	return added
end

-- The public record: exactly its fields, so a note that ended is gone. One of as many fields as the
-- new one is written over, which is cheaper; if they were others, it is written anew.
local function record_write(key, c, r, length)
	local fields = 12 + (r.note ~= '' and 1 or 0) + (r.till > 0 and 1 or 0)
	local over = length == fields
	if length ~= 0 and not over then redis.call('DEL', key) end
	if fields_write(key, c, r) > 0 and over then
		redis.call('DEL', key)
		fields_write(key, c, r)
	end
	redis.call('PEXPIRE', key, r.status == 'offline' and c.retain or ttl)
end

local function score_set(name, score)
	local role, id = string.match(name, '^([^/]*)/(.*)$')
	local of = scores[role]
	if not of then
		of = {}
		scores[role] = of
	end
	of[id] = score
end

-- Who is invisible cannot be told from who is offline: what happens behind such a record changes
-- nothing of it, not even its rev or when it ends; and where there is none, there will be none.
local function is_silent(c, r, old, old_rev)
	if r.status ~= 'offline' then return false end
	if c.rev > (old_rev > 0 and old_rev or old().rev) then return false end
	if not old().status then return c.rev == 0 and old_rev == 0 end
	return old().status == 'offline' and not differs(r, old())
end

-- Its place among the subjects of this node. last: who wrote the record before, or false.
local function node_write(c, last, devices)
	members[c.name] = true
	-- Another node had the subject last and has nothing of it up: it is ours now.
	if last and last ~= node then
		for field in pairs(devices) do
			if string.sub(field, 1, #last + 3) == 'd:' .. last .. '/' then return end
		end
		-- Nobody has looked at its type: a key that is not ours is left alone, and stops nothing.
		redis.pcall('SREM', base .. 'node:' .. last, c.name)
	end
end

local function event_write(c, r, seq, contribution, old_rev)
	redis.call('XADD', events, 'MAXLEN', '~', maxlen, '*', 't', 'set', 'node', node, 'boot', boot,
		'epoch', text[epoch], 'seq', text[seq], 'role', c.role, 'id', c.id, 'device', c.device,
		'contribution', contribution, 'status', r.status, 'previous', r.previous,
		'reason', c.reason, 'source', r.source, 'devices', text[r.devices],
		'since', text[r.since], 'last_seen', text[r.last_seen], 'rev', text[r.rev],
		'prev_rev', text[old_rev], 'note', r.note, 'until', text[r.till])
end

local function entry_of(c)
	if c.device == '' then return '' end
	return '1|' .. text[epoch] .. '|' .. text[c.rank] .. '|' .. text[c.rev] .. '|' ..
		text[c.seen] .. '|' .. c.device_note
end

-- Puts c's device into devices, or takes it out. Says whether that changes what it contributes;
-- nil: c is older than what is known. Without a device, what this node left behind is taken out.
local function device_change(c, devices, key)
	local changed = false
	if c.device == '' then
		for field, d in pairs(devices) do
			if is_own(field) and d.epoch < floor then
				redis.call('HDEL', key, field)
				devices[field], changed = nil, true
			end
		end
		return changed
	end
	local field = own .. c.field
	local d = devices[field]
	if d and d.epoch == epoch and d.rev > c.rev then return nil end
	if c.rank == 0 then
		if not d then return false end
		redis.call('HDEL', key, field)
		devices[field] = nil
		return true
	end
	devices[field] = { epoch = epoch, rank = c.rank, rev = c.rev, note = c.device_note }
	return not d or d.rank ~= c.rank or d.note ~= c.device_note
end

-- rev 0: nothing is published, nor was. mortal: it was left without devices, to live for a while.
local function state_write(c, key, rev, devices, entry, mortal)
	if rev == 0 and next(devices) == nil then
		redis.call('DEL', key)
		members[c.name] = false
		return
	end
	if entry ~= '' and c.rank > 0 then
		if rev > 0 then
			redis.call('HSET', key, own .. c.field, entry, 'rev', text[rev])
		else
			redis.call('HSET', key, own .. c.field, entry)
		end
	elseif rev > 0 then
		redis.call('HSET', key, 'rev', text[rev])
	end
	if next(devices) == nil then
		redis.call('PEXPIRE', key, c.retain)
	elseif mortal then
		redis.call('PERSIST', key)
	end
end

-- Applies one contribution, writes the record that results.
local function contribute(c, seq)
	local key, subject = base .. 'state:' .. c.name, base .. 'subject:' .. c.name
	local devices, old_rev, there, length = state_read(c.name)
	local mortal, old, entry = there and next(devices) == nil, record_reader(subject, length),
		entry_of(c)
	-- It has published nothing, so it knows nothing of what is published.
	if c.rev == 0 then c.since, c.previous, c.last_seen = nil, nil, nil end
	local rank, count, _, others, theirs = highest(devices)
	local changed = device_change(c, devices, key)
	if changed == nil then return end
	local r = { previous = '', since = 0, last_seen = 0, rev = old_rev, note = '', till = 0,
		status = '', devices = 0, source = '' } -- at its full size: growing is slow
	r.status, r.note, r.till, r.devices, r.source = merge(c, devices)
	r.since, r.previous = continuity(c, r.status, not others, old, WORD[rank])
	r.last_seen = last_seen(c, r.status, others, old)
	if changed or c.rev > old_rev or differs(r, old()) then
		meta_rev = math.max(c.rev, meta_rev + 1)
		r.rev = meta_rev
		event_write(c, r, seq, entry, old_rev)
	end
	local silent = is_silent(c, r, old, old_rev)
	-- With a device of it up before, it is among this node's subjects.
	local joins = count == theirs
	local last = joins and r.devices > 0 and length ~= 0 and redis.call('HGET', subject, 'node')
	if not silent then
		score_set(c.name, r.status ~= 'offline' and r.last_seen)
		record_write(subject, c, r, length)
	end
	if joins then node_write(c, last, devices) end
	state_write(c, key, silent and not old().status and 0 or r.rev, devices, entry, mortal)
	return devices
end

-- A part of a key as it was before it was encoded for one.
local function decoded(part)
	return (string.gsub(part, '%%(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end))
end

-- Role and id: those of the record, or where Redis has none, what its key says.
local function names_of(name)
	local names = redis.call('HMGET', base .. 'subject:' .. name, 'role', 'id')
	return names[1] or decoded(string.match(name, '^[^/]*')),
		names[2] or decoded(string.match(name, '/(.*)$'))
end

-- What Redis says of a subject by itself, after this node's leftovers are gone.
local function leftovers_drop(name, reason, retain, seq)
	local role, id = names_of(name)
	return contribute({ name = name, role = role, id = id, device = '', rev = 0, at = now,
		reason = reason, source = 'inferred', note = '', till = 0, retain = retain }, seq)
end

local function override_write(name, role, id, o, seq)
	override_store(name, o)
	redis.call('XADD', events, 'MAXLEN', '~', maxlen, '*', 't', 'override', 'node', node,
		'boot', boot, 'epoch', text[epoch], 'seq', text[seq], 'role', role, 'id', id,
		'status', o.word, 'note', o.note, 'until', text[o.till], 'rev', text[o.rev])
end

-- What is said of the subject as a whole: the newest counts, whoever said it; a node speaks in order.
local function override(c, seq)
	local known = override_read(c.name)
	local o = { word = c.field, rev = c.rank, till = c.seen, note = c.device_note }
	local ours = known and known.node == node
	if not known or o.rev > known.rev or (ours and o.rev ~= known.rev) then
		overrides_trim() -- before: this one may be over by Redis' clock
		override_write(c.name, c.role, c.id, o, seq)
	elseif o.rev == known.rev then -- said again: if it is ours, it is not left over
		if ours and known.epoch ~= epoch then override_store(c.name, known) end
	end
	-- Before the node knows any more of the subject.
	if c.rev == 0 and (o.word == 'none' or (known and o.rev == known.rev)) then return end
	c.field, c.rank, c.device_note = '', 0, ''
	return contribute(c, seq)
end

-- o comes from a past that Redis went back to, and was taken back since.
local function override_clear(name, o, retain, seq)
	local role, id = names_of(name)
	meta_rev = math.max(meta_rev, o.rev) + 1
	override_write(name, role, id, { word = 'none', rev = meta_rev, till = 0, note = '' }, seq)
	leftovers_drop(name, 'override', retain, seq)
end

-- This node has nothing of the subject any more; if no other has, it is no more.
local function forget(c, seq)
	local key = base .. 'state:' .. c.name
	local devices, old_rev = state_read(c.name)
	local _, _, _, others = highest(devices)
	if others then
		for field in pairs(devices) do
			if is_own(field) then
				floor = epoch + 1
				leftovers_drop(c.name, c.reason, c.retain, seq)
				floor = tonumber(ARGV[9])
				break
			end
		end
		members[c.name] = false
		return
	end
	members[c.name] = false
	redis.call('DEL', base .. 'subject:' .. c.name, key)
	score_set(c.name, false)
	meta_rev = math.max(c.rev, meta_rev + 1)
	redis.call('XADD', events, 'MAXLEN', '~', maxlen, '*', 't', 'forget', 'node', node, 'boot', boot,
		'epoch', text[epoch], 'seq', text[seq], 'role', c.role, 'id', c.id,
		'rev', text[meta_rev], 'prev_rev', text[old_rev])
end

local function merge_begin(rev, overrides)
	meta_rev, overridden = rev, overrides > 0
end

local function call_with(command, key, arguments)
	if #arguments > 0 then redis.call(command, key, unpack(arguments)) end
end

local function merge_end()
	for role, of in pairs(scores) do
		local up, down = {}, {}
		for id, score in pairs(of) do
			if score then
				up[#up + 1] = text[score]
				up[#up + 1] = id
			else
				down[#down + 1] = id
			end
		end
		call_with('ZADD', base .. 'online:' .. role, up)
		call_with('ZREM', base .. 'online:' .. role, down)
	end
	local mine, others = {}, {}
	for name, is_ours in pairs(members) do
		local to = is_ours and mine or others
		to[#to + 1] = name
	end
	call_with('SADD', base .. 'node:' .. node, mine)
	call_with('SREM', base .. 'node:' .. node, others)
	redis.call('HSET', KEYS[1], 'rev', text[meta_rev])
end
