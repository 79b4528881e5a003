/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_GATEWAY_GATEWAY_COLLECT_H
#define IG_SERVICES_GATEWAY_GATEWAY_COLLECT_H

/* What the events of a stream add up to: the answer as it would be unstreamed, by the rules of
 * MLflow's gateway, for a trace. Bounded: of more text than `max_bytes`, or of more choices and
 * parts than below, nothing is kept. Thread rule: one thread. */

#include "base/json.h"
#include "services/gateway/gateway_value.h"

enum ig_gateway_events {
    IG_GATEWAY_EVENTS_CHAT, /* OpenAI's chats */
    IG_GATEWAY_EVENTS_RESPONSES,
    IG_GATEWAY_EVENTS_ANTHROPIC,
    IG_GATEWAY_EVENTS_GEMINI,
};

enum { IG_GATEWAY_CHOICES_MAX = 128, IG_GATEWAY_PARTS_MAX = 512 };

struct ig_gateway_choice {
    int64_t index;
    struct ig_str role, finish; /* in the arena; ptr NULL: not told */
};

/* Text, or the call of a tool. */
struct ig_gateway_part {
    int64_t choice, index;
    bool is_call;
    struct ig_str id, type, name; /* of a call, as above */
    struct ig_buf text;           /* or the call's arguments */
};

struct ig_gateway_collector {
    enum ig_gateway_events kind;
    size_t max_bytes;
    bool lost; /* it came to more than the most */
    struct ig_arena arena;
    struct ig_str id, model, created, stop; /* in the arena; `created` and `stop` are JSON */
    struct ig_buf usage;                    /* JSON; of Responses all of the answer */
    struct ig_gateway_choice choices[IG_GATEWAY_CHOICES_MAX];
    struct ig_gateway_part *parts[IG_GATEWAY_PARTS_MAX]; /* in the arena */
    size_t choices_count, parts_count, bytes;
};

void ig_gateway_collector_init(struct ig_gateway_collector *collector, enum ig_gateway_events kind,
                               size_t max_bytes);
void ig_gateway_collector_deinit(struct ig_gateway_collector *collector);
/* What is not as it should be is passed over. `scratch` is the event's. */
void ig_gateway_collect(struct ig_gateway_collector *collector,
                        const struct ig_gateway_object *event, struct ig_arena *scratch);
/* JSON; nothing where nothing came, or too much. */
void ig_gateway_collector_write(struct ig_buf *out, const struct ig_gateway_collector *collector,
                                struct ig_arena *scratch);

#endif
