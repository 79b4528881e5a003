/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_GATEWAY_GATEWAY_SSE_H
#define IG_SERVICES_GATEWAY_GATEWAY_SSE_H

/* Lines "data: ..." of a stream of server-sent events, put together from pieces. A line is an
 * event, as all providers write them (and MLflow reads them). Thread rule: one thread. */

#include "base/err.h"
#include "base/str.h"

enum { IG_GATEWAY_EVENT_MAX = 1 << 20 };

struct ig_gateway_sse {
    struct ig_buf line;
    bool overlong; /* the line that is being read is over the most: nothing of it is kept */
    bool read;     /* `line` has been given as an event, or is none */
};

void ig_gateway_sse_init(struct ig_gateway_sse *sse);
void ig_gateway_sse_deinit(struct ig_gateway_sse *sse);
/* Reads on, past the end of one line at most, and moves *bytes behind what it has read. True:
 * *event is the line's data, good until the next call; "[DONE]" and lines without data are passed
 * over. False: *bytes is empty. */
bool ig_gateway_sse_next(struct ig_gateway_sse *sse, struct ig_str *bytes, struct ig_str *event);
/* At the stream's end: what stands behind the last line's end. */
bool ig_gateway_sse_last(struct ig_gateway_sse *sse, struct ig_str *event);

#endif
