/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_AUTH_AUTH_H
#define IG_SERVICES_AUTH_AUTH_H

/* API keys: `ig_<id>.<secret><crc>`, id 26 characters, secret 64 hex digits (256 bits), crc 8 hex
 * digits over all before. At rest: SHA-256 of the secret. Compared in constant time. Authentication
 * reads an immutable table in memory, without locks or SQL: it may run on an event loop. */

#include "base/random.h"
#include "stores/db.h"

enum ig_scope_bit {
#define IG_SCOPE(id, name, doc) IG_SCOPE_BIT_##id,
#include "services/auth/scopes.def"
#undef IG_SCOPE
    IG_SCOPES_COUNT
};
enum ig_scope { /* bits of a set */
#define IG_SCOPE(id, name, doc) IG_SCOPE_##id = 1 << IG_SCOPE_BIT_##id,
#include "services/auth/scopes.def"
#undef IG_SCOPE
                IG_SCOPES_ALL = (1 << IG_SCOPES_COUNT) - 1
};

const char *ig_scope_name(enum ig_scope_bit bit);
const char *ig_scope_doc(enum ig_scope_bit bit);
/* Comma-separated names, as "read,infer"; INVALID names the unknown one and lists the known. */
enum ig_code ig_scopes_parse(unsigned *out, struct ig_str text, struct ig_err *err);
void ig_scopes_format(struct ig_buf *buf, unsigned scopes); /* "read,infer" */

enum { IG_KEY_NAME_SIZE = 129, IG_KEY_TOKEN_SIZE = 3 + 26 + 1 + 64 + 8 + 1 };

/* Who acts. By value; owns nothing. */
struct ig_principal {
    char id[IG_ID_SIZE];         /* of the key; "user:7" of a user; empty for the local user */
    char name[IG_KEY_NAME_SIZE]; /* of the key or user; "local" for the local user */
    unsigned scopes;             /* of a user all, or none: then permissions decide */
    int64_t user;                /* number of a user (services/users), else 0 */
};
bool ig_principal_allows(const struct ig_principal *who, enum ig_scope scope);
/* The user of this machine: loopback without keys, and the command line on a data directory. */
extern const struct ig_principal IG_PRINCIPAL_LOCAL;

struct ig_auth;

struct ig_auth_options {
    struct ig_db *db;
    /* Returns once no event loop can still hold what it read before the call; NULL: no loops. */
    void (*wait_quiescent)(void *context);
    void *context;
    unsigned keys_max; /* 0: 10,000 */
};

enum ig_code ig_auth_open(struct ig_auth **out, const struct ig_auth_options *options,
                          struct ig_err *err);
void ig_auth_close(struct ig_auth *auth); /* NULL is allowed */

/* Loop-safe. */
bool ig_auth_keys_exist(const struct ig_auth *auth); /* any key, also expired or revoked ones */
/* UNAUTHENTICATED for a malformed, unknown, revoked or expired token; the message does not say
 * which. */
enum ig_code ig_auth_authenticate(struct ig_principal *out, const struct ig_auth *auth,
                                  struct ig_str token, struct ig_err *err);

/* Below: worker threads only (they wait for the disk). */
struct ig_key_spec {
    struct ig_str name; /* 1 to 128 characters, letters, digits, '.', '_', '-' */
    unsigned scopes;    /* at least one */
    int64_t expires_ms; /* Unix time; 0: never */
};
struct ig_key_created {
    char id[IG_ID_SIZE];
    char token[IG_KEY_TOKEN_SIZE]; /* shown once, stored nowhere */
};
enum ig_code ig_auth_key_create(struct ig_key_created *out, struct ig_auth *auth,
                                const struct ig_key_spec *spec, struct ig_err *err);
/* NOT_FOUND when there is none; revoking twice is no error. Takes effect before it returns. */
enum ig_code ig_auth_key_revoke(struct ig_auth *auth, struct ig_str id, struct ig_err *err);

struct ig_key {
    struct ig_str id;
    struct ig_str name;
    unsigned scopes;
    int64_t created_ms;
    int64_t expires_ms; /* 0: never */
    int64_t revoked_ms; /* 0: not revoked */
};
struct ig_key_list {
    const struct ig_key *items; /* newest first */
    size_t count;
};
enum ig_code ig_auth_key_list(struct ig_key_list *out, struct ig_auth *auth, struct ig_arena *arena,
                              struct ig_err *err);

#endif
