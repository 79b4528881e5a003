/* SPDX-License-Identifier: Apache-2.0 */
/* API keys. The table of keys is read from the database into an immutable snapshot, sorted by id;
 * every change writes the row first, then swaps the snapshot, waits until no loop can hold the old
 * one, and frees it.
 *
 * 1. A token is stored nowhere; a row holds the SHA-256 of its secret digits.
 * 2. authenticate takes no lock and does the same work for an unknown key as for a wrong secret.
 *
 * Thread rule: `snapshot` is read by anyone, swapped under `change_lock`. */
#include "services/auth/auth.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { ID_LEN = IG_ID_SIZE - 1, SECRET_LEN = 64, CRC_LEN = 8, SECRET_BYTES = 32 };

struct key {
    char id[IG_ID_SIZE];
    char name[IG_KEY_NAME_SIZE];
    unsigned char secret_sha256[IG_SHA256_BYTES];
    unsigned scopes;
    int64_t expires_ms;
    bool revoked;
};

struct snapshot {
    size_t count;
    struct key keys[];
};

struct ig_auth {
    struct ig_auth_options options;
    pthread_mutex_t change_lock;
    _Atomic(struct snapshot *) snapshot;
};

const struct ig_principal IG_PRINCIPAL_LOCAL = {.name = "local", .scopes = IG_SCOPES_ALL};

static const char *const SCOPE_NAMES[] = {
#define IG_SCOPE(id, name, doc) name,
#include "services/auth/scopes.def"
#undef IG_SCOPE
};
static const char *const SCOPE_DOCS[] = {
#define IG_SCOPE(id, name, doc) doc,
#include "services/auth/scopes.def"
#undef IG_SCOPE
};

const char *ig_scope_name(enum ig_scope_bit bit)
{
    return SCOPE_NAMES[bit];
}

const char *ig_scope_doc(enum ig_scope_bit bit)
{
    return SCOPE_DOCS[bit];
}

static bool parse_scope(unsigned *scopes, struct ig_str word)
{
    for (unsigned i = 0; i < IG_SCOPES_COUNT; i++) {
        if (!ig_str_is(word, SCOPE_NAMES[i])) continue;
        *scopes |= 1U << i;
        return true;
    }
    return false;
}

enum ig_code ig_scopes_parse(unsigned *out, struct ig_str text, struct ig_err *err)
{
    unsigned scopes = 0;
    struct ig_str rest = text;
    while (rest.ptr) {
        struct ig_str word = ig_str_trim(ig_str_cut(&rest, ','));
        if (parse_scope(&scopes, word)) continue;
        struct ig_buf known;
        ig_buf_init(&known, 256);
        ig_scopes_format(&known, IG_SCOPES_ALL);
        ig_fail(err, IG_INVALID, "scope '%.*s' is unknown, expected some of %s",
                word.len > 40 ? 40 : (int)word.len, word.ptr, known.ptr ? known.ptr : "");
        ig_buf_deinit(&known);
        return err->code;
    }
    *out = scopes;
    return IG_OK;
}

void ig_scopes_format(struct ig_buf *buf, unsigned scopes)
{
    bool first = true;
    for (unsigned i = 0; i < IG_SCOPES_COUNT; i++) {
        if (!(scopes & 1U << i)) continue;
        if (!first) ig_buf_add_char(buf, ',');
        ig_buf_add_cstr(buf, SCOPE_NAMES[i]);
        first = false;
    }
}

bool ig_principal_allows(const struct ig_principal *who, enum ig_scope scope)
{
    return (who->scopes & (unsigned)scope) != 0 || (who->scopes & IG_SCOPE_ADMIN) != 0;
}

static bool parse_hex(unsigned char *bytes, struct ig_str text)
{
    for (size_t i = 0; i < text.len / 2; i++) {
        int high = ig_hex_digit(text.ptr[2 * i]), low = ig_hex_digit(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static bool load_key(struct key *key, struct ig_db_rows *rows)
{
    struct ig_str id = ig_db_text(rows, 0), name = ig_db_text(rows, 1), hash = ig_db_text(rows, 3);
    if (id.len != ID_LEN || name.len >= sizeof key->name || hash.len != 2 * IG_SHA256_BYTES)
        return false;
    memcpy(key->id, id.ptr, id.len);
    memcpy(key->name, name.ptr, name.len);
    key->scopes = (unsigned)ig_db_i64(rows, 2) & IG_SCOPES_ALL;
    key->expires_ms = ig_db_i64(rows, 4);
    key->revoked = ig_db_i64(rows, 5) != 0;
    return parse_hex(key->secret_sha256, hash);
}

static enum ig_code count_keys(size_t *out, struct ig_db_tx *tx, struct ig_err *err)
{
    int64_t count = 0;
    if (ig_db_get_i64(&count, tx, "select count(*) from api_keys", NULL, 0, err) == IG_OK)
        *out = (size_t)count;
    return err->code;
}

static enum ig_code read_snapshot(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct snapshot **out = context;
    struct ig_db_rows *rows = NULL;
    size_t count = 0;
    enum ig_code code = count_keys(&count, tx, err);
    if (code != IG_OK) return code;
    struct snapshot *fresh = ig_zalloc(sizeof *fresh + count * sizeof fresh->keys[0]);
    if (!fresh) return ig_fail(err, IG_NO_MEMORY, "table of %zu keys", count);
    code = ig_db_query(&rows, tx,
                       "select id, name, scopes, secret_sha256, expires_ms, revoked_ms"
                       " from api_keys order by id",
                       NULL, 0, err);
    while (code == IG_OK && fresh->count < count && ig_db_next(rows, err)) {
        if (!load_key(&fresh->keys[fresh->count++], rows))
            code = ig_fail(err, IG_CORRUPT, "api_keys: a row is damaged");
    }
    ig_db_finish(rows);
    if (err->code != IG_OK) {
        ig_free(fresh);
        return err->code;
    }
    *out = fresh;
    return IG_OK;
}

/* Under change_lock, or before anyone else knows `auth`. */
static enum ig_code reload(struct ig_auth *auth, struct ig_err *err)
{
    struct snapshot *fresh = NULL;
    enum ig_code code = ig_db_read(auth->options.db, read_snapshot, &fresh, err);
    if (code != IG_OK) return code;
    struct snapshot *old = atomic_exchange(&auth->snapshot, fresh);
    if (old && auth->options.wait_quiescent) auth->options.wait_quiescent(auth->options.context);
    ig_free(old);
    return IG_OK;
}

enum ig_code ig_auth_open(struct ig_auth **out, const struct ig_auth_options *options,
                          struct ig_err *err)
{
    struct ig_auth *auth = ig_zalloc(sizeof *auth);
    if (!auth) return ig_fail(err, IG_NO_MEMORY, "auth");
    auth->options = *options;
    if (!auth->options.keys_max) auth->options.keys_max = 10000;
    pthread_mutex_init(&auth->change_lock, NULL);
    enum ig_code code = reload(auth, err);
    if (code != IG_OK) {
        ig_auth_close(auth);
        return code;
    }
    *out = auth;
    return IG_OK;
}

void ig_auth_close(struct ig_auth *auth)
{
    if (!auth) return;
    ig_free(atomic_load(&auth->snapshot));
    pthread_mutex_destroy(&auth->change_lock);
    ig_free(auth);
}

bool ig_auth_keys_exist(const struct ig_auth *auth)
{
    return atomic_load_explicit(&auth->snapshot, memory_order_acquire)->count > 0;
}

static uint32_t token_crc(struct ig_str text)
{
    return (uint32_t)crc32(0, (const unsigned char *)text.ptr, (unsigned)text.len);
}

static bool split_token(struct ig_str *id, struct ig_str *secret, struct ig_str token)
{
    char crc[CRC_LEN + 1];
    if (token.len != IG_KEY_TOKEN_SIZE - 1 || memcmp(token.ptr, "ig_", 3) != 0) return false;
    *id = (struct ig_str){token.ptr + 3, ID_LEN};
    *secret = (struct ig_str){token.ptr + 3 + ID_LEN + 1, SECRET_LEN};
    if (token.ptr[3 + ID_LEN] != '.') return false;
    snprintf(crc, sizeof crc, "%08x", token_crc((struct ig_str){token.ptr, token.len - CRC_LEN}));
    return memcmp(crc, token.ptr + token.len - CRC_LEN, CRC_LEN) == 0;
}

static const struct key *find_key(const struct snapshot *snapshot, struct ig_str id)
{
    size_t low = 0, high = snapshot->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(snapshot->keys[middle].id, id.ptr, ID_LEN);
        if (order == 0) return &snapshot->keys[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

enum ig_code ig_auth_authenticate(struct ig_principal *out, const struct ig_auth *auth,
                                  struct ig_str token, struct ig_err *err)
{
    static const struct key nobody = {.revoked = true};
    unsigned char hash[IG_SHA256_BYTES];
    struct ig_str id, secret;
    if (!split_token(&id, &secret, token))
        return ig_fail(err, IG_UNAUTHENTICATED, "the API key is not valid");
    const struct snapshot *snapshot = atomic_load_explicit(&auth->snapshot, memory_order_acquire);
    const struct key *key = find_key(snapshot, id);
    if (!key) key = &nobody;
    ig_sha256(secret.ptr, secret.len, hash);
    bool good = ig_equal_constant_time(hash, key->secret_sha256, sizeof hash);
    if (key->revoked || (key->expires_ms != 0 && key->expires_ms <= ig_clock_unix_ms()))
        good = false;
    if (!good) return ig_fail(err, IG_UNAUTHENTICATED, "the API key is not valid");
    memcpy(out->id, key->id, sizeof out->id);
    memcpy(out->name, key->name, sizeof out->name);
    out->scopes = key->scopes;
    out->user = 0;
    return IG_OK;
}

static bool good_name(struct ig_str name)
{
    if (name.len == 0 || name.len >= IG_KEY_NAME_SIZE) return false;
    for (size_t i = 0; i < name.len; i++) {
        char at = name.ptr[i];
        bool letter = (at >= 'a' && at <= 'z') || (at >= 'A' && at <= 'Z');
        if (!letter && !(at >= '0' && at <= '9') && at != '.' && at != '_' && at != '-')
            return false;
    }
    return true;
}

static enum ig_code check_spec(const struct ig_key_spec *spec, struct ig_err *err)
{
    if (!good_name(spec->name))
        return ig_fail(err, IG_INVALID,
                       "key name '%.*s': expected 1 to 128 letters, digits, '.', '_' or '-'",
                       spec->name.len > 140 ? 140 : (int)spec->name.len, spec->name.ptr);
    if (spec->scopes == 0 || (spec->scopes & ~(unsigned)IG_SCOPES_ALL))
        return ig_fail(err, IG_INVALID, "key scopes: expected at least one known scope");
    if (spec->expires_ms != 0 && spec->expires_ms <= ig_clock_unix_ms())
        return ig_fail(err, IG_INVALID, "key expiry lies in the past");
    return IG_OK;
}

struct insertion {
    const struct ig_key_spec *spec;
    const char *id;
    char hash[IG_SHA256_HEX];
    unsigned keys_max;
};

static enum ig_code insert_key(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct insertion *insertion = context;
    const struct ig_key_spec *spec = insertion->spec;
    size_t count = 0;
    enum ig_code code = count_keys(&count, tx, err);
    if (code != IG_OK) return code;
    if (count >= insertion->keys_max)
        return ig_fail(err, IG_EXHAUSTED, "there are %zu keys already, at most %u", count,
                       insertion->keys_max);
    return ig_db_exec(tx,
                      "insert into api_keys(id, name, scopes, secret_sha256, created_ms,"
                      " expires_ms, revoked_ms) values($1, $2, $3, $4, $5, $6, 0)",
                      IG_DB_VALUES(IG_DB_C(insertion->id), IG_DB_T(spec->name),
                                   IG_DB_I(spec->scopes), IG_DB_C(insertion->hash),
                                   IG_DB_I(ig_clock_unix_ms()), IG_DB_I(spec->expires_ms)),
                      err);
}

enum ig_code ig_auth_key_create(struct ig_key_created *out, struct ig_auth *auth,
                                const struct ig_key_spec *spec, struct ig_err *err)
{
    unsigned char bytes[SECRET_BYTES];
    char secret[SECRET_LEN + 1];
    struct ig_key_created made;
    struct insertion insertion = {spec, made.id, {0}, auth->options.keys_max};
    enum ig_code code = check_spec(spec, err);
    if (code != IG_OK) return code;
    ig_id_new(made.id);
    ig_random_bytes(bytes, sizeof bytes);
    ig_hex(secret, bytes, sizeof bytes);
    ig_sha256_hex(secret, SECRET_LEN, insertion.hash);
    int length = snprintf(made.token, sizeof made.token, "ig_%s.%s", made.id, secret);
    uint32_t crc = token_crc((struct ig_str){made.token, (size_t)length});
    snprintf(made.token + length, sizeof made.token - (size_t)length, "%08x", crc);

    pthread_mutex_lock(&auth->change_lock);
    code = ig_db_write(auth->options.db, insert_key, &insertion, err);
    if (code == IG_OK) code = reload(auth, err);
    pthread_mutex_unlock(&auth->change_lock);
    if (code == IG_OK) *out = made;
    explicit_bzero(&made, sizeof made);
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(bytes, sizeof bytes);
    return code;
}

static enum ig_code revoke_key(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct ig_str *id = context;
    enum ig_code code = ig_db_exec(
        tx,
        "update api_keys set revoked_ms = case when revoked_ms = 0 then $1 else revoked_ms end"
        " where id = $2",
        IG_DB_VALUES(IG_DB_I(ig_clock_unix_ms()), IG_DB_T(*id)), err);
    if (code != IG_OK || ig_db_changes(tx) > 0) return code;
    return ig_fail(err, IG_NOT_FOUND, "key '%.*s' does not exist", id->len > 40 ? 40 : (int)id->len,
                   id->ptr);
}

enum ig_code ig_auth_key_revoke(struct ig_auth *auth, struct ig_str id, struct ig_err *err)
{
    pthread_mutex_lock(&auth->change_lock);
    enum ig_code code = ig_db_write(auth->options.db, revoke_key, &id, err);
    if (code == IG_OK) code = reload(auth, err);
    pthread_mutex_unlock(&auth->change_lock);
    return code;
}

struct listing {
    struct ig_arena *arena;
    struct ig_key_list list;
};

static enum ig_code read_list(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct listing *listing = context;
    struct ig_db_rows *rows = NULL;
    size_t count = 0, at = 0;
    enum ig_code code = count_keys(&count, tx, err);
    if (code != IG_OK) return code;
    struct ig_key *keys = ig_arena_array(listing->arena, count + 1, sizeof *keys);
    if (!keys) return ig_fail(err, IG_NO_MEMORY, "list of %zu keys", count);
    code = ig_db_query(&rows, tx,
                       "select id, name, scopes, created_ms, expires_ms, revoked_ms from api_keys"
                       " order by id desc",
                       NULL, 0, err);
    while (code == IG_OK && at < count && ig_db_next(rows, err)) {
        keys[at++] = (struct ig_key){
            .id = ig_db_text_dup(rows, 0, listing->arena),
            .name = ig_db_text_dup(rows, 1, listing->arena),
            .scopes = (unsigned)ig_db_i64(rows, 2),
            .created_ms = ig_db_i64(rows, 3),
            .expires_ms = ig_db_i64(rows, 4),
            .revoked_ms = ig_db_i64(rows, 5),
        };
    }
    ig_db_finish(rows);
    if (listing->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "list of %zu keys", count);
    if (err->code == IG_OK) listing->list = (struct ig_key_list){keys, at};
    return err->code;
}

enum ig_code ig_auth_key_list(struct ig_key_list *out, struct ig_auth *auth, struct ig_arena *arena,
                              struct ig_err *err)
{
    struct listing listing = {.arena = arena};
    enum ig_code code = ig_db_read(auth->options.db, read_list, &listing, err);
    if (code == IG_OK) *out = listing.list;
    return code;
}
