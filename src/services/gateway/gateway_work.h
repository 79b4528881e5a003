/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_GATEWAY_GATEWAY_WORK_H
#define IG_SERVICES_GATEWAY_GATEWAY_WORK_H

/* One call of one model: where it goes (gateway_target.c), what is said there and what its answers
 * mean in OpenAI's form (gateway_openai.c, gateway_anthropic.c, gateway_gemini.c; the rules are
 * those of MLflow's gateway), and how it travels (gateway_post.c). */

#include "base/json.h"
#include "services/gateway/gateway_call.h"
#include "services/gateway/gateway_value.h"

enum ig_gateway_protocol {
    IG_GATEWAY_OPENAI,
    IG_GATEWAY_AZURE, /* OpenAI's, with the model in the path */
    IG_GATEWAY_DATABRICKS,
    IG_GATEWAY_ANTHROPIC,
    IG_GATEWAY_GEMINI,
};
struct ig_gateway_provider {
    const char *name, *title;
    enum ig_gateway_protocol protocol;
    const char *base;
};
/* NULL: none of that name. */
const struct ig_gateway_provider *ig_gateway_provider_find(struct ig_str name);
enum ig_code ig_gateway_provider_check(struct ig_str name, struct ig_err *err);

enum { IG_GATEWAY_CALLS_OF_STREAM_MAX = 128 };

struct ig_gateway_work {
    const struct ig_gateway_call *call;
    const struct ig_gateway_provider *provider;
    struct ig_str model;
    struct ig_tracking_pairs secrets; /* in the arena; wiped by ig_gateway_work_wipe */
    const char *base, *query;         /* URL; what stands behind paths: "?api-version=x" */
    char *headers;                    /* in the arena; wiped likewise */
    bool streams, tracked, batch;     /* batch: of several texts, at Gemini's other path */
    struct ig_gateway_object asked;   /* the call's body */
    struct ig_arena *arena;           /* of the call */
    struct ig_arena *scratch;         /* of one event */
    struct ig_err *err;
    int status; /* of the failure */
    struct ig_gateway_usage usage;
    struct ig_str collected; /* of a stream that is traced, once it is over; ptr NULL: nothing */
    /* Of a stream, told by its first event. */
    struct ig_str id, answering;
    /* Which of a stream's tool calls a block of Anthropic's is; how many calls each candidate of
     * Gemini's has had. */
    int64_t calls[IG_GATEWAY_CALLS_OF_STREAM_MAX];
    size_t calls_count;
};

/* Fails with a status of HTTP's. */
#define ig_gateway_refuse(work, wanted, ...)                                                       \
    ((work)->status = (wanted),                                                                    \
     ig_fail((work)->err, (wanted) < 500 ? IG_INVALID : IG_UNAVAILABLE, __VA_ARGS__))

/* Fills provider, model, secrets, base, query, headers; `sealed` is the model's secret. */
enum ig_code ig_gateway_target(struct ig_gateway_work *work, struct ig_gateway *gateway,
                               const struct ig_gateway_model *model);
void ig_gateway_work_wipe(struct ig_gateway_work *work);

/* What a protocol knows. Requests go to `out`, as do answers; all fail by ig_gateway_refuse. */
struct ig_gateway_form {
    const char *chat_path, *stream_path, *embeddings_path; /* behind the base; NULL: none */
    enum ig_code (*chat)(struct ig_json_out *out, struct ig_gateway_work *work);
    enum ig_code (*answer)(struct ig_json_out *out, struct ig_gateway_work *work,
                           const struct ig_gateway_object *reply);
    /* *told: the event is of something that OpenAI's form has. */
    enum ig_code (*event)(struct ig_json_out *out, bool *told, struct ig_gateway_work *work,
                          const struct ig_gateway_object *event);
    enum ig_code (*embeddings)(struct ig_json_out *out, struct ig_gateway_work *work);
    enum ig_code (*vectors)(struct ig_json_out *out, struct ig_gateway_work *work,
                            const struct ig_gateway_object *reply);
};
extern const struct ig_gateway_form IG_GATEWAY_FORM_OPENAI, IG_GATEWAY_FORM_ANTHROPIC,
    IG_GATEWAY_FORM_GEMINI;

/* ---- shared by the forms ---- */

/* Of a request: 422 where `what` is none. */
enum ig_code ig_gateway_need_object(struct ig_gateway_object *out, struct ig_str json,
                                    struct ig_gateway_work *work, const char *what);
enum ig_code ig_gateway_need_array(struct ig_gateway_array *out, struct ig_str json,
                                   struct ig_gateway_work *work, const char *what);
/* The function that a tool of OpenAI's form offers; 422 where it is of another type. */
enum ig_code ig_gateway_need_function(struct ig_gateway_object *out, struct ig_str tool,
                                      struct ig_gateway_work *work);
/* A tool's call. Its arguments are JSON in a text, and have to be an object. */
struct ig_gateway_tool_call {
    struct ig_gateway_object call;
    struct ig_str name, arguments; /* as JSON */
};
enum ig_code ig_gateway_need_call(struct ig_gateway_tool_call *out, struct ig_str json,
                                  struct ig_gateway_work *work);
/* Of an answer: 502, it has no such member, or not as it should be. */
enum ig_code ig_gateway_odd(struct ig_gateway_work *work, const char *what);
/* The members of an object but those that are null or named; `but` ends with NULL. */
void ig_gateway_write_rest(struct ig_json_out *out, const struct ig_gateway_object *object,
                           const char *const *but);
/* {"id": ..., "object": ..., "created": ..., "model": ..., "choices": [ */
struct ig_gateway_head {
    struct ig_str id, model;
    int64_t created;
    bool streams;
};
void ig_gateway_write_head(struct ig_json_out *out, const struct ig_gateway_head *head);
/* ], "usage": ..., "provider": ...}: `usage` is the provider's, whose members `but` were its
 * counts; ptr NULL: it told none. */
void ig_gateway_write_foot(struct ig_json_out *out, const struct ig_gateway_work *work,
                           const struct ig_gateway_object *usage, const char *const *but);
/* {"index": .., "message" or "delta": {"role": .., "content": .. */
void ig_gateway_open_choice(struct ig_json_out *out, int64_t index, struct ig_str finish,
                            bool streams);
/* Texts, of which ptr NULL is null. */
void ig_gateway_kv_text(struct ig_json_out *out, const char *key, struct ig_str text);
void ig_gateway_kv_count(struct ig_json_out *out, const char *key, int64_t count); /* -1: null */
void ig_gateway_kv_raw(struct ig_json_out *out, const char *key, struct ig_str json);
/* Counts of an answer or event in any provider's words. */
void ig_gateway_usage_read(struct ig_gateway_usage *usage, const struct ig_gateway_object *told,
                           struct ig_arena *arena);
/* "data:TYPE;base64,DATA" */
bool ig_gateway_data_url(struct ig_str *type, struct ig_str *data, struct ig_str url);

/* ---- how it travels ---- */

struct ig_gateway_post {
    const char *path; /* behind the base, with its query */
    struct ig_str body;
    /* Of a stream: bytes of a 2xx answer; false ends. NULL: the answer goes to `reply`. */
    bool (*take)(void *context, struct ig_str bytes);
    void *context;
};
/* OK with the answer of a 2xx in `reply`, which the caller has made with its cap. */
enum ig_code ig_gateway_send(struct ig_buf *reply, struct ig_gateway *gateway,
                             struct ig_gateway_work *work, const struct ig_gateway_post *post);
/* Text of a provider without the values of secrets that it may repeat; in the arena. */
struct ig_str ig_gateway_scrub(struct ig_str text, const struct ig_gateway_work *work);

#endif
