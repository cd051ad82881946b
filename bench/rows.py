# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The rows of the results: what is divided by what, what it should be, what it means, and what it
could be at best."""
import statistics
from dataclasses import dataclass


def quartiles(values):
    if len(values) < 2:
        return [values[0]] * 3
    return statistics.quantiles(values, n=4, method="inclusive")


def spread(values, digits):
    """median [lower quartile to upper quartile]"""
    low, middle, high = quartiles(values)
    if len(values) < 2:
        return f"{middle:.{digits}f}"
    return f"{middle:.{digits}f} [{low:.{digits}f} to {high:.{digits}f}]"


def table(head, rows):
    lines = [head, ["--"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


@dataclass
class Row:
    """value(group) is one ratio or figure, None when it was not measured there. loads is what
    must have been seen without a fault for it: (contestant, load). limit is what physics, or the
    broker around us, leaves at best, 0 when nobody knows, and why."""
    number: str
    name: str
    anchor: str
    target: float
    at_most: bool
    loads: list
    value: object
    means: str = ""
    limit: float = 0
    why: str = ""

    def meets(self, value):
        return value <= self.target if self.at_most else value >= self.target

    def goal(self):
        return ("≤ " if self.at_most else "≥ ") + f"{self.target:g}" if self.target else "none"

    def distance(self, value):
        """How many times worse than the limit."""
        value = max(value, 1e-9)
        return value / self.limit if self.at_most else self.limit / value


@dataclass
class Result:
    row: Row
    values: list
    wrong: int
    where: str = ""

    def verdict(self):
        if self.wrong:
            return f"**WRONG** ({self.wrong})"
        if not self.row.target:
            return ""
        return "pass" if self.row.meets(quartiles(self.values)[1]) else "short"

    def digits(self):
        size = abs(quartiles(self.values)[1])
        return 3 if size < 0.1 else 2 if size < 100 else 0


def mean(group, contestant, load, key):
    return statistics.mean(reach(one, key) for one in group["slices"][contestant][load])


def reach(measured, path):
    for key in path.split("."):
        measured = measured[key]
    return measured


def ratio(number, name, anchor, target, load, over, under, key, means="", at_most=True, limit=0,
          why=""):
    """Row of over's key divided by under's; of what was counted in seconds, rates are compared
    when more is better."""
    def value(group):
        first, second = (mean(group, who, load, key) for who in (over, under))
        return first / second if at_most else second / first
    return Row(number, f"{name}: {over} / {under}", anchor, target, at_most,
               [(over, load), (under, load)], value, means, limit, why)


def each(number, name, anchor, target, load, key, means, limit, why):
    """Row of a figure of Redis for each change."""
    def value(group):
        return mean(group, "presence", load, key) / mean(group, "presence", load,
                                                         "redis.contributions")
    return Row(number, name, anchor, target, True, [("presence", load)], value, means, limit, why)


PUBLISH, NAIVE, WILL, BARE, PRESENCE = "publish-only", "naive", "last will", "bare", "presence"
EXAMPLE, ALONE = "connection-state", "presence without Redis"
DEFAULT_TTL_S = 180  # redis_ttl
STALLED = "Redis stands still"

TELLING = "what telling takes, and 0.2 µs of 46 for the state machine"
SAME = "as soon as from those who only publish"

BROKER_ROWS = [
    ratio("R1", "CPU of a connect and its end, paced", "0.88 on 2.0.11, 1.07 on 2.1", 1.05,
          "paced", PRESENCE, PUBLISH, "all_us",
          "What of the broker's one thread presence takes, beyond what telling anybody at all "
          "costs. It is what the broker can no longer do for messages.", limit=1.005, why=TELLING),
    ratio("R1", "CPU of a connect and its end, as fast as can be", "0.98 on 2.0.11, 1.42 on 2.1",
          1.15, "churn", PRESENCE, PUBLISH, "all_us",
          "The same in a reconnect storm, where the worker and Redis want the same cores.",
          limit=1.005, why=TELLING),
    ratio("", "CPU of a connect and its end, paced", "1.18", 0, "paced", PUBLISH, BARE, "all_us",
          "What telling anybody at all costs: two records, kept and sent to one watcher."),
    ratio("", "CPU of a connect and its end, paced", "", 0, "paced", PRESENCE, WILL, "all_us",
          "Beside clients that speak for themselves, with a message and a last will: what the "
          "broker's thread pays for not having to trust them."),
    ratio("", "CPU of a connect and its end, paced", "1.1 publish-only", 0, "paced", PRESENCE,
          EXAMPLE, "all_us",
          "Beside the example of a plugin that comes with Mosquitto: it tells 1 and 0, at once and "
          "of client ids, and forgets nobody who was there when the broker died."),
    ratio("R2", "connects a second", "0.79 to 0.89 publish-only", 0.80, "drop", PRESENCE, BARE,
          "up_s", "How long everybody takes to be back after a restart of the broker, if the "
          "network allows. With fewer free cores than busy processes it shows contention.",
          at_most=False, limit=0.89, why="what publish-only showed on a quiet machine"),
    ratio("R2", "connects a second", "1", 0.97, "drop", PRESENCE, PUBLISH, "up_s",
          "The same without what telling costs anyway.", at_most=False, limit=1,
          why="as many as with those who only publish"),
    ratio("R3", "mass drop, ends a second", "4.7 to 5.9 publish-only", 4.5, "drop", PRESENCE,
          NAIVE, "down_s", "How soon the last of thousands that lost their network at once is "
          "shown as gone.", at_most=False, limit=5.9,
          why="what publish-only showed on a quiet machine"),
    ratio("R3", "mass drop, ends a second", "1", 0.95, "drop", PRESENCE, PUBLISH, "down_s",
          "The same without what telling costs anyway.", at_most=False, limit=1,
          why="as many as with those who only publish"),
    ratio("R3", "CPU of an end, mass drop", "1", 0, "drop", PRESENCE, PUBLISH, "down_us",
          "The same without the waiting, and so the figure to trust on a busy machine.",
          limit=1.005, why=TELLING),
    ratio("R3", "CPU of an end, mass drop", "0.2", 0, "drop", PRESENCE, NAIVE, "down_us"),
    ratio("R4", "connect to watcher, p50", "1.0", 1.05, "paced", PRESENCE, PUBLISH,
          "online_ms.p50", "How long a panel shows somebody as offline who is there.",
          limit=1, why=SAME),
    ratio("R4", "connect to watcher, p99", "1.0", 1.25, "paced", PRESENCE, PUBLISH,
          "online_ms.p99", "The same for the unlucky; it is the first figure to suffer on a busy "
          "machine.", limit=1, why=SAME),
    ratio("R5", "reset to watcher, p50", "1.0", 1.05, "paced", PRESENCE, PUBLISH,
          "abrupt_ms.p50", "The same for who is gone. Here without grace; with it the end is "
          "shown as much later. On 2.1, where the plugin reads last wills, an end without grace "
          "waits until a client does something, or for the next tick, since a will would give it "
          "its reason: that wait is what this row shows there, and the last ones of R3 wait up to "
          "200 ms when nobody else does anything; with grace it is in the grace.",
          limit=1, why=SAME),
    ratio("R5", "reset to watcher, p99", "1.0", 1.25, "paced", PRESENCE, PUBLISH,
          "abrupt_ms.p99", "The same for the unlucky.", limit=1, why=SAME),
    ratio("", "CPU of a ping", "1", 0, "drop", PRESENCE, BARE, "held_us",
          "Idle devices cost what their pings cost the broker; presence should add nothing.",
          limit=1, why="nothing is to be done"),
    # The worker and Redis want cores, too, which two do not have: what is the plugin's own?
    ratio("R1", "CPU of a connect and its end, as fast as can be", "1", 1.15, "churn", ALONE,
          PUBLISH, "all_us", "What R1 is where Redis has a core of its own.", limit=1.005,
          why=TELLING),
    ratio("R2", "connects a second", "1", 0.97, "drop", ALONE, PUBLISH, "up_s",
          "What R2 is where Redis has a core of its own.", at_most=False, limit=1,
          why="as many as with those who only publish"),
    ratio("R3", "mass drop, ends a second", "1", 0.95, "drop", ALONE, PUBLISH, "down_s",
          "What R3 is where Redis has a core of its own.", at_most=False, limit=1,
          why="as many as with those who only publish"),
    ratio("R4", "connect to watcher, p50", "1.0", 1.05, "paced", ALONE, PUBLISH,
          "online_ms.p50", "What R4 is where Redis has a core of its own.", limit=1, why=SAME),
    each("R9", "scripts a change, mass drop", "0.004 to 1", 0.02, "drop", "redis.scripts",
         "Round trips to Redis: what decides how far away Redis may be. The larger the "
         "storm, the fuller the batches.", 1 / 256, "all batches full"),
    each("R9", "bytes to Redis a change, mass drop", "60 to 340", 64, "drop", "redis.bytes_in",
         "What the network to Redis has to carry. The goal was for a packed record; ours is the "
         "public one, which any reader of Redis can understand.", 60, "a packed record"),
    ratio("R10", "CPU of Redis a change, mass drop", "", 0, "drop", PRESENCE, NAIVE,
          "redis.redis_us", "What one Redis carries. The naive one writes three commands and "
          "keeps no order, no stream and no memory of who has written."),
]


def stall_row():
    def value(group):
        return (mean(group, PRESENCE, STALLED, "connack_ms.p99")
                / mean(group, PRESENCE, "calm", "connack_ms.p99"))
    return Row("R6", "CONNACK p99, Redis stands still / does not: presence", "8 to 20", 1.5, True,
               [(PRESENCE, STALLED), (PRESENCE, "calm")], value,
               "Whether devices notice what happens to Redis. They should not.", 1,
               "nobody waits for Redis")


def stall_naive_row():
    def value(group):
        return (mean(group, NAIVE, STALLED, "connack_ms.p99")
                / mean(group, PRESENCE, STALLED, "connack_ms.p99"))
    return Row("R6", "CONNACK p99 while Redis stands still: naive / presence", "250 to 560", 0,
               True, [(NAIVE, STALLED), (PRESENCE, STALLED)], value,
               "What they notice when the callback waits for Redis.")


def memory_row():
    def value(group):
        return group["bytes"][PRESENCE] / group["bytes"][PUBLISH]
    return Row("R8", "memory a device, retained record included: presence / publish-only", "1.15",
               1.2, True, [], value,
               "How many devices fit into the memory of the broker: the socket in the kernel "
               "comes on top.", 1.15, "the packed state of a device, and its id")


def retained_results(measured):
    """Of a restart with much retained, and of who subscribes to it."""
    many = f"{measured['subjects']:,} retained"

    def over(rounds, under, value):
        return [statistics.mean(map(value, one[PRESENCE])) / statistics.mean(map(value, one[under]))
                for one in rounds]

    def found(number, name, anchor, target, values, wrong, means, limit, why, at_most=True):
        row = Row(number, name, anchor, target, at_most, [], None, means, limit, why)
        return Result(row, values, wrong)

    read_wrong = sum(seen["wrong"] for one in measured["reads"] for who in one.values()
                     for seen in who)
    again, paused, changes = (measured[what] for what in ("again", "paused", "paused changes"))
    reach = 100 * (1 - paused["missing"] / measured["subjects"])
    reach_changes = 100 * (1 - (changes["missing"] + changes["lost"])
                           / (measured["subjects"] + 2 * measured["changes"]))
    return [
        found("R16", f"exec to the first CONNACK, {many}: presence, with a state file / bare",
              "1", 1.3, over(measured["restarts"], BARE, float),
              measured["made wrong"] + again["wrong"],
              "How much longer a restart of the broker keeps everybody out. Both read the same file "
              "of retained messages; presence reads who was there besides, for a second at most, "
              "before anybody may connect.", 1, "nothing else to read"),
        found("R16", f"s until all {many} are said again", "", 0, [again["s"]], again["wrong"],
              "Until then a record may be what it was before the restart. Each came once. "
              "It is spread on purpose, so that the broker has time for others.", 0, ""),
        found("R18", f"time of a new watcher, {many}: presence / publish-only", "1", 1.1,
              over(measured["reads"], PUBLISH, lambda seen: seen.get("all_s", 1e9)), read_wrong,
              "How long a panel loads. Both brokers send the same bytes.", 1,
              "the plugin has no part in it"),
        found("R18", f"CPU for a new watcher, {many}: presence / publish-only", "1", 0,
              over(measured["reads"], PUBLISH, lambda seen: seen.get("all_us", 1e9)), read_wrong,
              "The same as the broker's thread sees it: nobody else is served meanwhile.", 1,
              "the plugin has no part in it"),
        found("R18", f"% of {many} that reach a watcher who reads nothing for 2 s",
              "1 with QoS 1 and the default settings", 100, [reach], paused["wrong"],
              "Whether a panel whose tab slept is right afterwards. Its receive buffer is 64 KiB, "
              "max_queued_messages 200000 as in the example.", 100, "all of them", at_most=False),
        found("R18", f"% of {2 * measured['changes']:,} changes that do, and the last of each",
              "", 100, [reach_changes], changes["wrong"],
              "The same for what changes while it does not read: in order, each once.", 100,
              "all of them", at_most=False),
    ]


def idle_results(measured, ttl_s):
    """Of brokers with nothing to do."""
    few, many = measured
    wrong = sum(one["wrong"] for one in measured)
    means = ("What presence asks of Redis while nothing happens. A lease is renewed, however many "
             "are there; besides, the life of each subject who is online is extended every third "
             "of redis_ttl, in batches. This is with redis_ttl "
             f"{ttl_s}s{', the default' if ttl_s == DEFAULT_TTL_S else ''}: ten times that, a tenth of it.")
    found = [figure("R14", f"scripts a second, nothing happens, {one['online']:,} online",
                    "16,667 to 33,333 by device, of a million", int(ttl_s == DEFAULT_TTL_S),
                    one["scripts_s"],
                    means if one is few else "The same with more.", 0.1,
                    "a lease told every 10 s") for one in measured]
    found += [
        figure("R14", f"of these for the lease, {many['online']:,} online", "0.1", 0,
               many["leases_s"], "What does not depend on how many there are.", 0.3,
               "one each third of node_lease, 10 s"),
        Result(Row("R14", f"refreshes in a script, {many['online']:,} online", "", 0, False, [],
                   None, "What makes the rest: a batch goes when the worker gets to it, so that "
                   "fewer and fuller ones come of a machine with a free core.", 256,
                   "full batches"), [many["refreshed"]], 0),
        figure("R14", f"commands a second, also those in scripts, {many['online']:,} online", "",
               0, many["inner_s"], "The same as Redis counts it: each refresh is two or three "
               "cheap commands.")]
    for one in found:
        one.wrong = wrong
    return found


def results_of(rows, groups):
    found = []
    for row in rows:
        have = [group for group in groups
                if all(group["slices"][who][load] for who, load in row.loads)]
        wrong = sum(one["wrong"] for group in have for who, load in row.loads
                    for one in group["slices"][who][load])
        if have:
            found.append(Result(row, [row.value(group) for group in have], wrong))
    return found


def results_table(results):
    return table(["", "what", "median [quartiles]", "anchor", "limit", "target", ""],
                 [[one.row.number, one.row.name, spread(one.values, one.digits()), one.row.anchor,
                   f"{one.row.limit:.4g}" if one.row.limit else "", one.row.goal(), one.verdict()]
                  for one in results])


def distances(results):
    """How far they stand from their limit, in words."""
    said = []
    for one in results:
        factor = one.row.distance(quartiles(one.values)[1])
        far = "there" if factor <= 1.005 else f"{factor:.3g} times as far"
        said.append(far + (f" on {one.where}" if one.where else ""))
    row = results[0].row
    return f" The limit is {row.limit:.4g}, {row.why}: {', '.join(said)}."


def meanings(results):
    """What each figure is to somebody who runs a broker, and how far it is from what can be."""
    named = {}
    for one in results:
        named.setdefault((one.row.number, one.row.name), []).append(one)
    said = ""
    for (number, name), same in named.items():
        row = same[0].row
        if row.means or row.limit:
            said += f"- **{f'{number} {name}'.strip()}.** "
            said += row.means + (distances(same) if row.limit else "") + "\n"
    return said


# ---- the programs that measure without a broker ---------------------------------------------


def tables_of(text):
    """Markdown's tables: lists of rows, each a dictionary by column."""
    found, head = [], None
    for line in text.splitlines():
        words = [word.strip() for word in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            head = None
        elif set(line) <= set("|-: "):
            continue
        elif head is None:
            head, rows = words, []
            found.append(rows)
        else:
            rows.append(dict(zip(head, words)))
    return found


MILLION = 1000000  # some targets are for so many


def figure(number, name, anchor, target, value, means="", limit=0, why=""):
    row = Row(number, name, anchor, target, True, [], None, means, limit, why)
    return Result(row, [value], 0)


def core_results(text):
    rows = tables_of(text)[0]
    last = rows[-1]
    size = f"{int(last['devices']):,} devices"
    size_fits = int(last["devices"]) >= MILLION
    transition = (float(last["clean end"]) + float(last["connect again"])) / 2
    found = [
        figure("R7", f"bytes of a device that is online, {size}", "72 packed",
               200 * size_fits,
               float(last["bytes online"]), "Memory of the broker without sockets and topics.", 72,
               "packed, without deadlines, reasons and second devices"),
        figure("R12", f"ns a transition, {size}", "153", 250 * size_fits, transition,
               "What the state machine itself takes of the broker's thread: two or three looks at "
               "memory that no cache has.", 2 * float(last["one miss, ns"]),
               "two looks at memory, in the same minute"),
        figure("R12", f"longest step, µs, {size}", "", 1000,
               float(last["longest step, µs"].split()[0]),
               "No message waits longer than this for presence."),
    ]
    if len(rows) > 1:
        before = rows[-2]
        found.append(figure(
            "R12", f"a transition, {size} / {int(before['devices']):,}", "1.7", 2, transition /
            (float(before["clean end"]) + float(before["connect again"])) * 2,
            "How it grows. The rest is memory that is further away."))
    return found


def redis_results(text):
    sizes, empty = tables_of(text)[1:3]
    first, last, resync = sizes[0], sizes[-1], empty[-1]
    count = int(resync["subjects, Redis empty"])
    found = [
        figure("R11", "bytes of a subject in Redis", "31 to 161", 0,
               float(last["bytes of a subject"]),
               "How many subjects fit into one Redis. All its keys, with the public record.", 31,
               "packed into buckets that only we can read"),
        figure("", "CPU of Redis, the script / the same keys without it", "", 0,
               float(list(last.values())[3]), "The price of being right about order and loss.", 1,
               "to trust that nothing goes wrong"),
        figure("R15", f"s until an empty Redis has {count:,} again, for each million",
               "3.8 to 7.9", 8 * (count >= MILLION), float(resync["s"]) * 1e6 / count,
               "How long other readers of Redis miss somebody after Redis lost its memory. "
               "MQTT's presence is complete meanwhile.", 2, "one large hash"),
    ]
    if len(sizes) > 1:
        found.append(figure(
            "R13", f"CPU of Redis a change, {int(last['subjects']):,} / "
            f"{int(first['subjects']):,} subjects", "1.96", 2.2,
            float(last["come back µs"]) / float(first["come back µs"]), "How it grows."))
    return found


NOT_MEASURED = """R17 (a dead node: all its subjects offline in Redis a lease later) is not measured
yet: it needs a second broker that notices, and today there is one.
"""
