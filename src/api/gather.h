/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_GATHER_H
#define IG_API_GATHER_H

/* Opportunistic batching: calls that a loop has read in one turn and that ask the same model the
 * same are computed as one at the turn's end, where that saves time. Nothing ever waits for more to
 * come, and the values are the same bit for bit. Each loop has a list of its own; no lock. */

#include "api/infer.h"

struct ig_gather;

/* Of models whose rows cost at least `gain_ns` less in a batch than alone. */
enum ig_code ig_gather_new(struct ig_gather **out, unsigned loops, uint64_t gain_ns,
                           struct ig_err *err);
void ig_gather_free(struct ig_gather *gather); /* NULL is allowed */

/* On the loop, of a routed call that would be run there: whether it waits for the turn's end, when
 * `go_on` runs and encodes it; its parts may be computed by then. */
bool ig_gather_add(struct ig_gather *gather, struct ig_call *call, const struct ig_infer *infer,
                   enum ig_code (*go_on)(struct ig_call *call));
/* The loop's calls, by call->next, those that go together computed; their results live until the
 * loop's next turn end. */
struct ig_call *ig_gather_take(struct ig_gather *gather, unsigned loop);

#endif
