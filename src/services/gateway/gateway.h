/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_GATEWAY_GATEWAY_H
#define IG_SERVICES_GATEWAY_GATEWAY_H

/* The configuration of MLflow's gateway to language models: secrets of providers, models that are
 * reached with them, endpoints that share their calls out to models, and what uses an endpoint.
 * Calls of models are made by gateway_call.h. Errors have MLflow's words.
 *
 * A secret is sealed (secret_box.h) before it is written, never told, never logged: answers have
 * the first three and the last four characters of its values. Thread-safe; worker threads only. */

#include "services/tracking/tracking.h"

struct ig_gateway;

enum {
    IG_GATEWAY_MODELS_MAX = 100, /* of one endpoint */
    IG_GATEWAY_LIST_MAX = 10000, /* of one list */
    IG_GATEWAY_SECRET_MAX = 64 << 10,
    IG_GATEWAY_PASSPHRASE_MAX = 4096,
};

struct ig_gateway_options {
    struct ig_db *db;
    struct ig_tracking *tracking;
    int dirfd;                   /* of the data directory, borrowed: the key that is made there */
    const char *passphrase_file; /* its first line; NULL or "": a key is made in the directory;
                                    borrowed until the end */
    /* Of calls to models. */
    bool http_allowed, private_allowed; /* URLs http://, addresses that are not public */
    const char *ca_file;                /* that alone is trusted; NULL or "": the system's CAs */
    unsigned timeout_ms;                /* of one model's answer; 0: 300,000 */
    unsigned calls_max;                 /* at once; 0: 16 */
};
enum ig_code ig_gateway_open(struct ig_gateway **out, const struct ig_gateway_options *options,
                             struct ig_err *err);
void ig_gateway_close(struct ig_gateway *gateway); /* NULL is allowed */
/* Whether the key is one that was made in the data directory. */
bool ig_gateway_has_own_key(const struct ig_gateway *gateway);

/* What all of them have. ptr NULL: nobody said. */
struct ig_gateway_marks {
    int64_t created_ms, updated_ms;
    struct ig_str created_by, updated_by;
};

struct ig_gateway_secret {
    struct ig_str id, name, provider; /* ptr NULL: no provider */
    struct ig_tracking_pairs values;  /* masked, when read */
    struct ig_tracking_pairs config;  /* of the way to authenticate */
    struct ig_gateway_marks marks;
};
struct ig_gateway_model {
    struct ig_str id, name, secret, secret_name, provider, model; /* secret ptr NULL: deleted */
    struct ig_gateway_marks marks;
};
struct ig_gateway_mapping {
    struct ig_str id, endpoint;
    struct ig_gateway_model model;
    bool fallback; /* else primary */
    double weight;
    int64_t order; /* of fallbacks; -1: none */
    int64_t created_ms;
    struct ig_str created_by;
};
struct ig_gateway_endpoint {
    struct ig_str id, name;
    struct ig_str routing;           /* ptr NULL: none */
    struct ig_str fallback_strategy; /* likewise */
    int64_t fallback_attempts;       /* -1: not told */
    bool has_fallback, tracked;
    int64_t experiment; /* -1: none */
    const struct ig_gateway_mapping *mappings;
    size_t mappings_count;
    struct ig_tracking_pairs tags;
    struct ig_gateway_marks marks;
};
struct ig_gateway_binding {
    struct ig_str endpoint, type, resource;
    struct ig_gateway_marks marks;
};

/* A change: what has ptr NULL, or is -1, stays. Of a new thing what has to be told is INVALID when
 * it is missing. `by`: who is said to do it. */
struct ig_gateway_secret_spec {
    struct ig_str id, name, provider, by;
    const struct ig_tracking_pairs *values, *config; /* NULL: stay */
};
enum ig_code ig_gateway_secret_put(struct ig_gateway_secret *out, struct ig_gateway *gateway,
                                   const struct ig_principal *who,
                                   const struct ig_gateway_secret_spec *spec,
                                   struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_gateway_secret_get(struct ig_gateway_secret *out, struct ig_gateway *gateway,
                                   struct ig_str id, struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_gateway_secret_delete(struct ig_gateway *gateway, const struct ig_principal *who,
                                      struct ig_str id, struct ig_err *err);
/* Of a provider, unless that is empty. */
enum ig_code ig_gateway_secrets(const struct ig_gateway_secret **out, size_t *count,
                                struct ig_gateway *gateway, struct ig_str provider,
                                struct ig_arena *arena, struct ig_err *err);

struct ig_gateway_model_spec {
    struct ig_str id, name, secret, provider, model, by;
};
enum ig_code ig_gateway_model_put(struct ig_gateway_model *out, struct ig_gateway *gateway,
                                  const struct ig_principal *who,
                                  const struct ig_gateway_model_spec *spec, struct ig_arena *arena,
                                  struct ig_err *err);
enum ig_code ig_gateway_model_get(struct ig_gateway_model *out, struct ig_gateway *gateway,
                                  struct ig_str id, struct ig_arena *arena, struct ig_err *err);
/* CONFLICT while an endpoint has it. */
enum ig_code ig_gateway_model_delete(struct ig_gateway *gateway, const struct ig_principal *who,
                                     struct ig_str id, struct ig_err *err);
struct ig_gateway_ask {
    struct ig_str provider, secret, endpoint, type, resource; /* empty: any */
};
enum ig_code ig_gateway_models(const struct ig_gateway_model **out, size_t *count,
                               struct ig_gateway *gateway, const struct ig_gateway_ask *ask,
                               struct ig_arena *arena, struct ig_err *err);

struct ig_gateway_use {
    struct ig_str model; /* id of a model definition */
    bool fallback;
    double weight;
    int64_t order;
    struct ig_str by; /* who attaches it; ptr NULL: nobody said */
};
struct ig_gateway_endpoint_spec {
    struct ig_str id, name, routing, by;
    const struct ig_gateway_use *uses; /* NULL: stay */
    size_t uses_count;
    bool has_fallback;
    struct ig_str fallback_strategy;
    int64_t fallback_attempts;
    int tracked;        /* -1: as it is, or of a new one yes */
    int64_t experiment; /* -1: as it is, or one of its own */
};
enum ig_code ig_gateway_endpoint_put(struct ig_gateway_endpoint *out, struct ig_gateway *gateway,
                                     const struct ig_principal *who,
                                     const struct ig_gateway_endpoint_spec *spec,
                                     struct ig_arena *arena, struct ig_err *err);
/* By its id, or where that is empty by its name. */
enum ig_code ig_gateway_endpoint_get(struct ig_gateway_endpoint *out, struct ig_gateway *gateway,
                                     struct ig_str id, struct ig_str name, struct ig_arena *arena,
                                     struct ig_err *err);
enum ig_code ig_gateway_endpoint_delete(struct ig_gateway *gateway, const struct ig_principal *who,
                                        struct ig_str id, struct ig_err *err);
/* Those that have a model of the provider, unless that is empty. */
enum ig_code ig_gateway_endpoints(const struct ig_gateway_endpoint **out, size_t *count,
                                  struct ig_gateway *gateway, struct ig_str provider,
                                  struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_gateway_attach(struct ig_gateway_mapping *out, struct ig_gateway *gateway,
                               struct ig_str endpoint, const struct ig_gateway_use *use,
                               struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_gateway_detach(struct ig_gateway *gateway, struct ig_str endpoint,
                               struct ig_str model, struct ig_err *err);
enum ig_code ig_gateway_tag(struct ig_gateway *gateway, struct ig_str endpoint,
                            struct ig_tracking_pair tag, struct ig_err *err);
enum ig_code ig_gateway_untag(struct ig_gateway *gateway, struct ig_str endpoint, struct ig_str key,
                              struct ig_err *err);

enum ig_code ig_gateway_bind(struct ig_gateway_binding *out, struct ig_gateway *gateway,
                             const struct ig_gateway_ask *what, struct ig_str by,
                             struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_gateway_unbind(struct ig_gateway *gateway, const struct ig_gateway_ask *what,
                               struct ig_err *err);
enum ig_code ig_gateway_bindings(const struct ig_gateway_binding **out, size_t *count,
                                 struct ig_gateway *gateway, const struct ig_gateway_ask *ask,
                                 struct ig_arena *arena, struct ig_err *err);

#endif
