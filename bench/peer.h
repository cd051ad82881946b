/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_BENCH_PEER_H
#define PRESENCE_BENCH_PEER_H

/* Where a peer keeps what it publishes: nowhere (peer_publish), or in Redis, waiting for each
 * answer in the broker's callback (peer_naive). Both plugins are peer.c with one of these. */

#include <stdbool.h>

struct peer_store;

/* path is a unix socket's path; round_trips is how many commands an event takes, 1 to 3. NULL when
 * it cannot be opened. */
struct peer_store *peer_store_open(const char *path, int round_trips);
/* False: it is not in there, and nobody will try again. */
bool peer_store_put(struct peer_store *store, const char *topic, const char *record);
void peer_store_close(struct peer_store *store);

#endif
