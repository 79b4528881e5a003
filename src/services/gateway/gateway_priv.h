/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_GATEWAY_GATEWAY_PRIV_H
#define IG_SERVICES_GATEWAY_GATEWAY_PRIV_H

/* Shared by the files of the gateway's configuration. */

#include "services/audit/audit.h"
#include "services/gateway/gateway.h"
#include "services/gateway/secret_box.h"

#include <pthread.h>

enum { IG_GATEWAY_ID_SIZE = 35, IG_GATEWAY_NAME_MAX = 255 };

struct ig_gateway {
    struct ig_db *db;
    struct ig_tracking *tracking;
    int dirfd;
    const char *passphrase_file; /* NULL: none */
    pthread_mutex_t lock;        /* of the next two */
    bool has_key;
    unsigned char key[IG_SECRET_KEY_BYTES];
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
/* A model definition of a row: id, name, secret, its name, provider, model, marks. */
#define IG_GATEWAY_MODEL_COLUMNS                                                                   \
    "d.id, d.name, s.id, s.name, d.provider, d.model, d.created_ms, d.updated_ms, d.created_by,"   \
    " d.updated_by"
enum { IG_GATEWAY_MODEL_COLUMNS_COUNT = 10 };
struct ig_gateway_model ig_gateway_model_read(struct ig_db_rows *rows, int column,
                                              struct ig_arena *arena);

#endif
