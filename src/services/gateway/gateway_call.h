/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_GATEWAY_GATEWAY_CALL_H
#define IG_SERVICES_GATEWAY_GATEWAY_CALL_H

/* Calls of language models through an endpoint of the gateway. The unified calls have OpenAI's form
 * whatever the provider, pass-throughs the provider's own. A primary model is chosen by its weight;
 * where it fails and the endpoint has fallbacks, these are tried in their order, as long as nothing
 * of a stream was told yet. Secrets are opened for the call alone; what a provider says of a
 * failure is told without them. Blocks; thread-safe. */

#include "services/gateway/gateway.h"

enum ig_gateway_action {
    IG_GATEWAY_CHAT,       /* unified: {"messages": ...} */
    IG_GATEWAY_EMBEDDINGS, /* unified: {"input": ...} */
    IG_GATEWAY_OPENAI_CHAT,
    IG_GATEWAY_OPENAI_EMBEDDINGS,
    IG_GATEWAY_OPENAI_RESPONSES,
    IG_GATEWAY_OPENAI_COMPACT,
    IG_GATEWAY_ANTHROPIC_MESSAGES,
    IG_GATEWAY_GEMINI_GENERATE,
    IG_GATEWAY_GEMINI_STREAM,
};

enum {
    IG_GATEWAY_REQUEST_MAX = 16 << 20,
    IG_GATEWAY_ANSWER_MAX = 16 << 20, /* of one that is not streamed */
};

/* Tokens, as the provider counts them; -1: not told. What a cache gave is part of the input. */
struct ig_gateway_usage {
    int64_t input, output, total, cached, created;
};

struct ig_gateway_call {
    enum ig_gateway_action action;
    struct ig_str endpoint; /* by name */
    struct ig_str body;     /* JSON */
    bool has_model; /* its member "model" named the endpoint; else it may not have one, where the
                       action is unified */
    const char *headers; /* of the caller, "Name: value\r\n", which pass-throughs send; or NULL */
    /* Takes events of a stream; it fails with CANCELLED when nobody wants them. */
    enum ig_code (*take)(void *context, struct ig_str events, struct ig_err *err);
    /* Whether the caller has gone; asked while the provider is waited for. */
    bool (*is_gone)(const void *context);
    void *context;
};

struct ig_gateway_answer {
    int status;         /* of a failure, in HTTP's numbers; 0: its code's own */
    struct ig_str body; /* JSON, in the arena; ptr NULL: it was streamed */
    struct ig_gateway_usage usage;
    uint64_t waited_ns; /* for providers */
};

/* Errors: INVALID and UNAVAILABLE with a status (the call is not what the provider takes; the
 * provider refused it, cannot be reached, answers in another form), NOT_FOUND (no such endpoint),
 * EXHAUSTED (calls_max are under way), DEADLINE, CANCELLED, NO_MEMORY. `out` is filled as far as it
 * came. */
enum ig_code ig_gateway_call_model(struct ig_gateway_answer *out, struct ig_gateway *gateway,
                                   const struct ig_gateway_call *call, struct ig_arena *arena,
                                   struct ig_err *err);

struct ig_gateway_stats {
    uint64_t calls, failed, input_tokens, output_tokens;
};
void ig_gateway_stats(struct ig_gateway_stats *out, const struct ig_gateway *gateway);

#endif
