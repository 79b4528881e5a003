/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_GATEWAY_GATEWAY_PRIV_H
#define IG_SERVICES_GATEWAY_GATEWAY_PRIV_H

/* Shared by the files of the gateway's configuration. */

#include "services/audit/audit.h"
#include "services/gateway/gateway.h"
#include "services/gateway/secret_box.h"

#include <pthread.h>
#include <stdatomic.h>

enum { IG_GATEWAY_ID_SIZE = 35, IG_GATEWAY_NAME_MAX = 255, IG_GATEWAY_KEPT_MAX = 8 };

/* A connection to a provider, at its URL. */
struct ig_gateway_kept {
    char *base;
    struct ig_client *client;
};

struct ig_gateway {
    struct ig_db *db;
    struct ig_tracking *tracking;
    int dirfd;
    const char *passphrase_file; /* NULL: none */
    const char *ca_file;         /* NULL: the system's CAs */
    bool http_allowed, private_allowed;
    unsigned timeout_ms, calls_max;
    pthread_mutex_t lock; /* of the key and of what is kept */
    bool has_key;
    unsigned char key[IG_SECRET_KEY_BYTES];
    struct ig_gateway_kept kept[IG_GATEWAY_KEPT_MAX];
    size_t kept_count, kept_at;
    atomic_uint calls_running;
    atomic_uint_fast64_t calls, failed, input_tokens, output_tokens;
};

/* "s-" and 32 hex digits. */
void ig_gateway_id_new(char id[IG_GATEWAY_ID_SIZE], char letter);
/* "GatewaySecret not found (secret_id='x')" */
enum ig_code ig_gateway_absent(const char *what, const char *field, struct ig_str value,
                               struct ig_err *err);
enum ig_code ig_gateway_check_name(struct ig_str name, const char *field, struct ig_err *err);
struct ig_db_value ig_gateway_or_null(struct ig_str text);
struct ig_str ig_gateway_optional(struct ig_db_rows *rows, int column, struct ig_arena *arena);
/* created_ms, updated_ms, created_by, updated_by, from this column on. */
struct ig_gateway_marks ig_gateway_marks_read(struct ig_db_rows *rows, int column,
                                              struct ig_arena *arena);
/* An object of texts. */
enum ig_code ig_gateway_pairs_read(struct ig_tracking_pairs *out, struct ig_str json,
                                   struct ig_arena *arena, struct ig_err *err);
/* The values of a secret, opened, and the configuration beside them; in the arena. */
enum ig_code ig_gateway_secret_open(struct ig_tracking_pairs *values,
                                    struct ig_tracking_pairs *config, struct ig_gateway *gateway,
                                    struct ig_str id, struct ig_arena *arena, struct ig_err *err);
/* Where models may be asked: https, or http where the setting allows it. */
enum ig_code ig_gateway_base_check(const struct ig_gateway *gateway, struct ig_str base,
                                   struct ig_err *err);
void ig_gateway_kept_free(struct ig_gateway *gateway);
/* A model definition of a row: id, name, secret, its name, provider, model, marks. */
#define IG_GATEWAY_MODEL_COLUMNS                                                                   \
    "d.id, d.name, s.id, s.name, d.provider, d.model, d.created_ms, d.updated_ms, d.created_by,"   \
    " d.updated_by"
enum { IG_GATEWAY_MODEL_COLUMNS_COUNT = 10 };
struct ig_gateway_model ig_gateway_model_read(struct ig_db_rows *rows, int column,
                                              struct ig_arena *arena);

#endif
