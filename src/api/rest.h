/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_REST_H
#define IG_API_REST_H

/* Shared by the handlers of /api/v1 (rest_*.c), some by those of MLflow's paths. */

#include "api/call.h"

/* One member of a request object. */
struct ig_rest_field {
    const char *name;
    enum {
        IG_REST_STR,
        IG_REST_I64,
        IG_REST_F64,
        IG_REST_BOOL,
        IG_REST_TEXT_OR_I64,
        IG_REST_CALL,
    } kind;
    void *out; /* struct ig_str *, int64_t *, double *, bool *; TEXT_OR_I64: struct ig_str *; CALL:
                  for `read` */
    bool required;
    enum ig_code (*read)(void *out, struct ig_json *json); /* CALL: reads the value that comes */
};

/* Reads the body as one object with these members; an unknown, twice given or missing one is
 * INVALID and named. An empty body counts as {} when nothing is required. */
enum ig_code ig_rest_read(struct ig_call *call, const struct ig_rest_field *fields, size_t count);
/* Version number of a path or body, at least 1. */
enum ig_code ig_rest_version_number(int64_t *out, struct ig_call *call, struct ig_str text);

/* "2026-01-31T23:59:59.123Z", or null for 0. */
void ig_rest_kv_time(struct ig_json_out *out, const char *key, int64_t unix_ms);
/* A member that is JSON already; empty writes {}. */
void ig_rest_kv_raw(struct ig_json_out *out, const char *key, struct ig_str json);
/* A deployment's graph; the caller unrefs. NULL with call->err: there is none. */
const struct ig_routing *ig_rest_routing(struct ig_call *call, struct ig_str name);
/* {} with status 200, for deletions. */
enum ig_code ig_rest_done(struct ig_call *call);

/* Of STREAM handlers: the body into the blob store, up to the setting's cap, durable when OK. */
enum ig_code ig_rest_blob_store(char digest[IG_SHA256_HEX], uint64_t *size, struct ig_call *call);
/* An object as the answer, of this media type. */
enum ig_code ig_rest_blob_send(struct ig_call *call, struct ig_str digest, const char *type);

#endif
