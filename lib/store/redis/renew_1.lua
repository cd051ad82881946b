-- SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
-- Keeps the lease; carries the epoch, so that an idle node learns that it was fenced.
-- ARGV[7] lease ms, [8] up, or leaving: the last word before a clean stop, [9] stream length.
-- OK
local stop, h = shared_types()
if not stop then stop, h = fence() end
if stop then return stop end
redis.call('SET', base .. 'lease:' .. node, boot, 'PX', ARGV[7])
if h.state ~= ARGV[8] then
	h.state = ARGV[8]
	holder_set(h)
	redis.call('XADD', base .. 'events', 'MAXLEN', '~', ARGV[9], '*', 't', 'node', 'node', node,
		'boot', boot, 'epoch', text[epoch], 'state', h.state)
end
return { 'OK' }
