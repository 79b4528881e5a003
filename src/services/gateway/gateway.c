/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets, and models that are reached with them. The key is derived when it is first needed, which
 * takes longer than all else of a start.
 *
 * Thread rule: one lock, held while the key is made. */
#include "services/gateway/gateway.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/random.h"
#include "services/gateway/gateway_priv.h"
#include "services/gateway/gateway_work.h"
#include "services/users/grants.h"

#include <stdio.h>

enum { TIMEOUT_MS = 300000, CALLS_MAX = 16 };
#define KEY_FILE "secrets.key"
#define CHECK_NAME "check"

/* ---- shared ---- */

void ig_gateway_id_new(char id[IG_GATEWAY_ID_SIZE], char letter)
{
    unsigned char random[16];
    ig_random_bytes(random, sizeof random);
    id[0] = letter;
    id[1] = '-';
    ig_hex(id + 2, random, sizeof random);
}

enum ig_code ig_gateway_absent(const char *what, const char *field, struct ig_str value,
                               struct ig_err *err)
{
    return ig_fail(err, IG_NOT_FOUND, "%s not found (%s='%.*s')", what, field,
                   (int)(value.len > 64 ? 64 : value.len), value.ptr);
}

enum ig_code ig_gateway_check_name(struct ig_str name, const char *field, struct ig_err *err)
{
    if (!name.len)
        return ig_fail(err, IG_INVALID, "Missing value for required parameter '%s'.", field);
    if (name.len <= IG_GATEWAY_NAME_MAX) return IG_OK;
    return ig_fail(err, IG_INVALID, "%s: %zu bytes, at most %d", field, name.len,
                   IG_GATEWAY_NAME_MAX);
}

struct ig_db_value ig_gateway_or_null(struct ig_str text)
{
    return text.ptr ? IG_DB_T(text) : IG_DB_N();
}

struct ig_str ig_gateway_optional(struct ig_db_rows *rows, int column, struct ig_arena *arena)
{
    if (ig_db_is_null(rows, column)) return (struct ig_str){NULL, 0};
    return ig_db_text_dup(rows, column, arena);
}

struct ig_gateway_marks ig_gateway_marks_read(struct ig_db_rows *rows, int column,
                                              struct ig_arena *arena)
{
    return (struct ig_gateway_marks){.created_ms = ig_db_i64(rows, column),
                                     .updated_ms = ig_db_i64(rows, column + 1),
                                     .created_by = ig_gateway_optional(rows, column + 2, arena),
                                     .updated_by = ig_gateway_optional(rows, column + 3, arena)};
}

enum ig_code ig_gateway_pairs_read(struct ig_tracking_pairs *out, struct ig_str json,
                                   struct ig_arena *arena, struct ig_err *err)
{
    struct ig_tracking_pair *items = NULL;
    struct ig_json reader;
    size_t count = 0, cap = 0;
    *out = (struct ig_tracking_pairs){NULL, 0};
    if (!json.len) return IG_OK;
    ig_json_init(&reader, json, arena, err);
    if (!ig_json_expect(&reader, IG_JSON_OBJECT, "values")) return err->code;
    while (ig_json_member(&reader)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) return ig_fail(err, IG_NO_MEMORY, "values");
        items[count].key = reader.text;
        if (!ig_json_string(&reader, &items[count].value, "values")) return err->code;
        count++;
    }
    *out = (struct ig_tracking_pairs){items, count};
    return err->code;
}

struct ig_gateway_model ig_gateway_model_read(struct ig_db_rows *rows, int column,
                                              struct ig_arena *arena)
{
    return (struct ig_gateway_model){.id = ig_db_text_dup(rows, column, arena),
                                     .name = ig_db_text_dup(rows, column + 1, arena),
                                     .secret = ig_gateway_optional(rows, column + 2, arena),
                                     .secret_name = ig_gateway_optional(rows, column + 3, arena),
                                     .provider = ig_db_text_dup(rows, column + 4, arena),
                                     .model = ig_db_text_dup(rows, column + 5, arena),
                                     .marks = ig_gateway_marks_read(rows, column + 6, arena)};
}

/* ---- the key ---- */

enum ig_code ig_gateway_open(struct ig_gateway **out, const struct ig_gateway_options *options,
                             struct ig_err *err)
{
    struct ig_gateway *gateway = ig_zalloc(sizeof *gateway);
    if (!gateway) return ig_fail(err, IG_NO_MEMORY, "gateway");
    gateway->db = options->db;
    gateway->tracking = options->tracking;
    gateway->dirfd = options->dirfd;
    if (options->passphrase_file && *options->passphrase_file)
        gateway->passphrase_file = options->passphrase_file;
    if (options->ca_file && *options->ca_file) gateway->ca_file = options->ca_file;
    gateway->http_allowed = options->http_allowed;
    gateway->private_allowed = options->private_allowed;
    gateway->timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
    gateway->calls_max = options->calls_max ? options->calls_max : CALLS_MAX;
    pthread_mutex_init(&gateway->lock, NULL);
    *out = gateway;
    return IG_OK;
}

void ig_gateway_close(struct ig_gateway *gateway)
{
    if (!gateway) return;
    ig_gateway_kept_free(gateway);
    explicit_bzero(gateway->key, sizeof gateway->key);
    pthread_mutex_destroy(&gateway->lock);
    ig_free(gateway);
}

bool ig_gateway_has_own_key(const struct ig_gateway *gateway)
{
    return !gateway->passphrase_file;
}

/* The first line of the file of the setting, or of one that is made in the data directory. */
static enum ig_code read_passphrase(struct ig_buf *out, const struct ig_gateway *gateway,
                                    struct ig_err *err)
{
    const char *file = gateway->passphrase_file;
    if (file) {
        if (ig_file_read(out, IG_FILE_CWD, file, err) != IG_OK)
            ig_err_prefix(err, "secrets_passphrase_file");
    } else if (ig_file_read(out, gateway->dirfd, KEY_FILE, err) == IG_NOT_FOUND) {
        unsigned char random[IG_SECRET_KEY_BYTES];
        char hex[2 * sizeof random + 1];
        ig_err_clear(err);
        ig_random_bytes(random, sizeof random);
        ig_hex(hex, random, sizeof random);
        ig_buf_reset(out);
        ig_buf_add_cstr(out, hex);
        ig_file_replace(gateway->dirfd, KEY_FILE, ig_buf_view(out), err);
        explicit_bzero(random, sizeof random);
        explicit_bzero(hex, sizeof hex);
    }
    if (err->code != IG_OK) return err->code;
    struct ig_str line = ig_buf_view(out);
    line = ig_str_cut(&line, '\n');
    out->len = ig_str_trim(line).len;
    if (out->len) return IG_OK;
    return ig_fail(err, IG_INVALID, "%s: its first line is empty",
                   file ? "secrets_passphrase_file" : KEY_FILE);
}

struct salt_call {
    unsigned char salt[IG_SECRET_SALT_BYTES];
    struct ig_buf *sealed; /* the check's, empty when it is new */
    struct ig_str check;
};

static bool salt_parse(unsigned char salt[IG_SECRET_SALT_BYTES], struct ig_str hex)
{
    if (hex.len != 2 * IG_SECRET_SALT_BYTES) return false;
    for (size_t i = 0; i < IG_SECRET_SALT_BYTES; i++)
        salt[i] = (unsigned char)((ig_hex_digit(hex.ptr[2 * i]) & 15) << 4 |
                                  (ig_hex_digit(hex.ptr[2 * i + 1]) & 15));
    return true;
}

static enum ig_code find_salt(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct salt_call *call = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select salt, sealed from gateway_keys where id = 1", NULL, 0,
                    err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err)) {
        if (!salt_parse(call->salt, ig_db_text(rows, 0)))
            ig_fail(err, IG_CORRUPT, "gateway_keys: its salt is none");
        ig_buf_add_str(call->sealed, ig_db_text(rows, 1));
    }
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code keep_salt(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct salt_call *call = context;
    char hex[2 * IG_SECRET_SALT_BYTES + 1];
    ig_hex(hex, call->salt, sizeof call->salt);
    return ig_db_exec(tx, "insert into gateway_keys(id, salt, sealed) values(1, $1, $2)",
                      IG_DB_VALUES(IG_DB_C(hex), IG_DB_T(ig_buf_view(call->sealed))), err);
}

/* A word that is sealed with the key tells whether a passphrase is still the same one. */
static enum ig_code make_key(struct ig_gateway *gateway, struct ig_err *err)
{
    struct ig_buf passphrase, sealed, opened;
    struct salt_call call = {.sealed = &sealed};
    int rounds = gateway->passphrase_file ? IG_SECRET_ROUNDS : IG_SECRET_KEY_ROUNDS;
    ig_buf_init(&passphrase, IG_GATEWAY_PASSPHRASE_MAX);
    ig_buf_init(&sealed, 1024);
    ig_buf_init(&opened, 1024);
    if (read_passphrase(&passphrase, gateway, err) != IG_OK ||
        ig_db_read(gateway->db, find_salt, &call, err) != IG_OK)
        goto out;
    bool first = !sealed.len;
    if (first) ig_random_bytes(call.salt, sizeof call.salt);
    if (ig_secret_key_derive(gateway->key, ig_buf_view(&passphrase), call.salt, rounds, err) !=
        IG_OK)
        goto out;
    if (!first)
        ig_secret_open(&opened, gateway->key, IG_STR(CHECK_NAME), ig_buf_view(&sealed), err);
    else if (ig_secret_seal(&sealed, gateway->key, IG_STR(CHECK_NAME), IG_STR(CHECK_NAME), err) ==
             IG_OK)
        ig_db_write(gateway->db, keep_salt, &call, err);
out:
    gateway->has_key = err->code == IG_OK;
    if (passphrase.ptr) explicit_bzero(passphrase.ptr, passphrase.cap);
    ig_buf_deinit(&passphrase);
    ig_buf_deinit(&sealed);
    ig_buf_deinit(&opened);
    return err->code;
}

static enum ig_code need_key(struct ig_gateway *gateway, struct ig_err *err)
{
    pthread_mutex_lock(&gateway->lock);
    if (!gateway->has_key) make_key(gateway, err);
    pthread_mutex_unlock(&gateway->lock);
    return err->code;
}

/* ---- secrets ---- */

#define SECRET_COLUMNS                                                                             \
    "id, name, provider, masked, config, created_ms, updated_ms, created_by, updated_by"

struct secret_call {
    const struct ig_principal *who;
    const struct ig_gateway_secret_spec *spec;
    struct ig_str id, sealed, masked, config; /* ptr NULL: stays */
    struct ig_arena *arena;
    struct ig_gateway_secret found;
};

static enum ig_code read_secret(struct ig_gateway_secret *out, struct ig_db_rows *rows,
                                struct ig_arena *arena, struct ig_err *err)
{
    struct ig_str masked = ig_db_text_dup(rows, 3, arena), config;
    config = ig_gateway_optional(rows, 4, arena);
    *out = (struct ig_gateway_secret){.id = ig_db_text_dup(rows, 0, arena),
                                      .name = ig_db_text_dup(rows, 1, arena),
                                      .provider = ig_gateway_optional(rows, 2, arena),
                                      .marks = ig_gateway_marks_read(rows, 5, arena)};
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "secrets");
    if (ig_gateway_pairs_read(&out->values, masked, arena, err) != IG_OK) return err->code;
    return ig_gateway_pairs_read(&out->config, config, arena, err);
}

static enum ig_code find_secret(struct secret_call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select " SECRET_COLUMNS " from gateway_secrets where id = $1",
                    IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err))
        read_secret(&call->found, rows, call->arena, err);
    else if (err->code == IG_OK)
        ig_gateway_absent("GatewaySecret", "secret_id", call->id, err);
    ig_db_finish(rows);
    return err->code;
}

/* The first three characters and the last four; of a short value nothing. */
static void add_masked(struct ig_json_out *out, struct ig_str value)
{
    char text[64];
    size_t characters = 0, at = 0, head = 0, tail = 0;
    size_t total = 0;
    for (size_t i = 0; i < value.len; i++) total += ((unsigned char)value.ptr[i] & 0xC0) != 0x80;
    for (; at < value.len; at++) {
        if (((unsigned char)value.ptr[at] & 0xC0) == 0x80) continue;
        if (characters == 3) head = at;
        if (characters + 4 == total) tail = at;
        characters++;
    }
    if (total < 8) {
        ig_json_out_str(out, IG_STR("***"));
        return;
    }
    int length = snprintf(text, sizeof text, "%.*s...%.*s", (int)head, value.ptr,
                          (int)(value.len - tail), value.ptr + tail);
    ig_json_out_str(out, (struct ig_str){text, (size_t)length});
}

/* A JSON object of the values, as they are or masked. */
static enum ig_code pairs_text(struct ig_str *out, struct ig_tracking_pairs pairs, bool masked,
                               struct ig_arena *arena, struct ig_err *err)
{
    struct ig_json_out writer;
    struct ig_buf buf;
    ig_buf_init(&buf, 8 * IG_GATEWAY_SECRET_MAX);
    ig_json_out_init(&writer, &buf);
    ig_json_out_object(&writer);
    for (size_t i = 0; i < pairs.count; i++) {
        ig_json_out_key(&writer, pairs.items[i].key);
        if (masked)
            add_masked(&writer, pairs.items[i].value);
        else
            ig_json_out_str(&writer, pairs.items[i].value);
    }
    ig_json_out_object_end(&writer);
    *out = ig_arena_dup(arena, ig_buf_view(&buf));
    if (buf.overflowed || !out->ptr) ig_fail(err, IG_NO_MEMORY, "secret");
    if (buf.ptr && !masked) explicit_bzero(buf.ptr, buf.cap);
    ig_buf_deinit(&buf);
    return err->code;
}

static enum ig_code check_pairs(struct ig_tracking_pairs pairs, const char *field,
                                struct ig_err *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < pairs.count; i++)
        bytes += pairs.items[i].key.len + pairs.items[i].value.len;
    if (pairs.count <= 100 && bytes <= IG_GATEWAY_SECRET_MAX) return IG_OK;
    return ig_fail(err, IG_INVALID, "%s: %zu entries of %zu bytes, at most 100 of %d", field,
                   pairs.count, bytes, IG_GATEWAY_SECRET_MAX);
}

static enum ig_code check_bases(const struct ig_gateway *gateway, struct ig_tracking_pairs config,
                                struct ig_err *err)
{
    for (size_t i = 0; i < config.count; i++) {
        struct ig_str base = ig_str_trim(config.items[i].value);
        if (ig_str_is(config.items[i].key, "api_base") && base.len &&
            ig_gateway_base_check(gateway, base, err) != IG_OK)
            return err->code;
    }
    return IG_OK;
}

static enum ig_code seal(struct secret_call *call, struct ig_gateway *gateway, struct ig_err *err)
{
    struct ig_str plain;
    struct ig_buf sealed;
    if (need_key(gateway, err) != IG_OK ||
        pairs_text(&call->masked, *call->spec->values, true, call->arena, err) != IG_OK ||
        pairs_text(&plain, *call->spec->values, false, call->arena, err) != IG_OK)
        return err->code;
    ig_buf_init(&sealed, 16 * IG_GATEWAY_SECRET_MAX);
    if (ig_secret_seal(&sealed, gateway->key, call->id, plain, err) == IG_OK)
        call->sealed = ig_arena_dup(call->arena, ig_buf_view(&sealed));
    explicit_bzero((char *)(uintptr_t)plain.ptr, plain.len);
    ig_buf_deinit(&sealed);
    if (err->code == IG_OK && !call->sealed.ptr) ig_fail(err, IG_NO_MEMORY, "secret");
    return err->code;
}

static enum ig_code add_secret(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct secret_call *call = context;
    const struct ig_gateway_secret_spec *spec = call->spec;
    int64_t now_ms = ig_clock_unix_ms();
    if (ig_db_exec(tx,
                   "insert into gateway_secrets(id, name, provider, sealed, masked, config,"
                   " created_ms, updated_ms, created_by, updated_by)"
                   " values($1, $2, $3, $4, $5, $6, $7, $7, $8, $8)",
                   IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(spec->name),
                                ig_gateway_or_null(spec->provider), IG_DB_T(call->sealed),
                                IG_DB_T(call->masked), ig_gateway_or_null(call->config),
                                IG_DB_I(now_ms), ig_gateway_or_null(spec->by)),
                   err) != IG_OK) {
        if (err->code != IG_EXISTS) return err->code;
        ig_err_clear(err);
        return ig_fail(err, IG_EXISTS, "Secret with name '%.*s' already exists",
                       IG_STR_ARGS(spec->name));
    }
    if (ig_grant_creator(tx, call->who, IG_OBJECT_SECRET, call->id, err) != IG_OK ||
        ig_audit_add(tx, call->who, "gateway.secret.create", call->id, IG_STR(""), err) != IG_OK)
        return err->code;
    return find_secret(call, tx, err);
}

static enum ig_code change_secret(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct secret_call *call = context;
    if (find_secret(call, tx, err) != IG_OK ||
        ig_db_exec(tx,
                   "update gateway_secrets set sealed = coalesce($2, sealed),"
                   " masked = coalesce($3, masked), config = case when cast($4 as bigint) = 1"
                   " then $5 else config end, updated_ms = $6, updated_by = $7 where id = $1",
                   IG_DB_VALUES(IG_DB_T(call->id), ig_gateway_or_null(call->sealed),
                                ig_gateway_or_null(call->masked),
                                IG_DB_I(call->spec->config != NULL),
                                ig_gateway_or_null(call->config), IG_DB_I(ig_clock_unix_ms()),
                                ig_gateway_or_null(call->spec->by)),
                   err) != IG_OK ||
        ig_audit_add(tx, call->who, "gateway.secret.update", call->id, IG_STR(""), err) != IG_OK)
        return err->code;
    return find_secret(call, tx, err);
}

enum ig_code ig_gateway_secret_put(struct ig_gateway_secret *out, struct ig_gateway *gateway,
                                   const struct ig_principal *who,
                                   const struct ig_gateway_secret_spec *spec,
                                   struct ig_arena *arena, struct ig_err *err)
{
    char id[IG_GATEWAY_ID_SIZE];
    bool first = !spec->id.len;
    struct secret_call call = {.who = who, .spec = spec, .id = spec->id, .arena = arena};
    if (first) {
        ig_gateway_id_new(id, 's');
        call.id = ig_str_view(id);
        if (ig_gateway_check_name(spec->name, "secret_name", err) != IG_OK) return err->code;
        if (!spec->values || !spec->values->count)
            return ig_fail(err, IG_INVALID, "Missing value for required parameter 'secret_value'.");
    }
    if ((spec->values && check_pairs(*spec->values, "secret_value", err) != IG_OK) ||
        (spec->config && check_pairs(*spec->config, "auth_config", err) != IG_OK) ||
        (spec->config && check_bases(gateway, *spec->config, err) != IG_OK) ||
        (spec->values && seal(&call, gateway, err) != IG_OK) ||
        (spec->config && spec->config->count &&
         pairs_text(&call.config, *spec->config, false, arena, err) != IG_OK))
        return err->code;
    if (ig_db_write(gateway->db, first ? add_secret : change_secret, &call, err) == IG_OK)
        *out = call.found;
    return err->code;
}

static enum ig_code get_secret(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    return find_secret(context, tx, err);
}

enum ig_code ig_gateway_secret_get(struct ig_gateway_secret *out, struct ig_gateway *gateway,
                                   struct ig_str id, struct ig_arena *arena, struct ig_err *err)
{
    struct secret_call call = {.id = id, .arena = arena};
    if (ig_db_read(gateway->db, get_secret, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

struct open_call {
    struct ig_str id, sealed, config;
    struct ig_arena *arena;
};

static enum ig_code find_sealed(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct open_call *call = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select sealed, config from gateway_secrets where id = $1",
                    IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err)) {
        call->sealed = ig_db_text_dup(rows, 0, call->arena);
        call->config = ig_gateway_optional(rows, 1, call->arena);
    } else if (err->code == IG_OK) {
        ig_gateway_absent("GatewaySecret", "secret_id", call->id, err);
    }
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_gateway_secret_open(struct ig_tracking_pairs *values,
                                    struct ig_tracking_pairs *config, struct ig_gateway *gateway,
                                    struct ig_str id, struct ig_arena *arena, struct ig_err *err)
{
    struct open_call call = {.id = id, .arena = arena};
    struct ig_str text = {NULL, 0};
    struct ig_buf plain;
    if (ig_db_read(gateway->db, find_sealed, &call, err) != IG_OK ||
        need_key(gateway, err) != IG_OK)
        return err->code;
    ig_buf_init(&plain, 8 * IG_GATEWAY_SECRET_MAX);
    if (ig_secret_open(&plain, gateway->key, id, call.sealed, err) == IG_OK)
        text = ig_arena_dup(arena, ig_buf_view(&plain));
    if (plain.ptr) explicit_bzero(plain.ptr, plain.cap);
    ig_buf_deinit(&plain);
    if (err->code == IG_OK && !text.ptr) ig_fail(err, IG_NO_MEMORY, "secret");
    if (err->code != IG_OK || ig_gateway_pairs_read(values, text, arena, err) != IG_OK)
        return err->code;
    return ig_gateway_pairs_read(config, call.config, arena, err);
}

static enum ig_code delete_secret(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct secret_call *call = context;
    const struct ig_db_value values[] = {IG_DB_T(call->id)};
    if (ig_db_exec(tx, "update gateway_models set secret = null where secret = $1", values, 1,
                   err) != IG_OK ||
        ig_db_exec(tx, "delete from gateway_secrets where id = $1", values, 1, err) != IG_OK)
        return err->code;
    if (!ig_db_changes(tx)) return ig_gateway_absent("GatewaySecret", "secret_id", call->id, err);
    if (ig_grants_drop(tx, IG_OBJECT_SECRET, call->id, err) != IG_OK) return err->code;
    return ig_audit_add(tx, call->who, "gateway.secret.delete", call->id, IG_STR(""), err);
}

enum ig_code ig_gateway_secret_delete(struct ig_gateway *gateway, const struct ig_principal *who,
                                      struct ig_str id, struct ig_err *err)
{
    struct secret_call call = {.who = who, .id = id};
    return ig_db_write(gateway->db, delete_secret, &call, err);
}

struct list_call {
    const struct ig_gateway_ask *ask;
    struct ig_arena *arena;
    struct ig_gateway_secret *secrets;
    struct ig_gateway_model *models;
    size_t count;
};

static enum ig_code list_secrets(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct list_call *call = context;
    struct ig_db_rows *rows = NULL;
    size_t cap = 0;
    if (ig_db_query(&rows, tx,
                    "select " SECRET_COLUMNS " from gateway_secrets where $1 = '' or provider = $1"
                    " order by created_ms, id limit $2",
                    IG_DB_VALUES(IG_DB_T(call->ask->provider), IG_DB_I(IG_GATEWAY_LIST_MAX)),
                    err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        call->secrets =
            ig_arena_grow(call->arena, call->secrets, call->count, &cap, sizeof *call->secrets);
        if (!call->secrets)
            ig_fail(err, IG_NO_MEMORY, "secrets");
        else
            read_secret(&call->secrets[call->count++], rows, call->arena, err);
        if (err->code != IG_OK) break;
    }
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_gateway_secrets(const struct ig_gateway_secret **out, size_t *count,
                                struct ig_gateway *gateway, struct ig_str provider,
                                struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_gateway_ask ask = {.provider = provider.ptr ? provider : IG_STR("")};
    struct list_call call = {.ask = &ask, .arena = arena};
    if (ig_db_read(gateway->db, list_secrets, &call, err) != IG_OK) return err->code;
    *out = call.secrets;
    *count = call.count;
    return IG_OK;
}

/* ---- model definitions ---- */

struct model_call {
    const struct ig_principal *who;
    const struct ig_gateway_model_spec *spec;
    struct ig_str id;
    struct ig_arena *arena;
    struct ig_gateway_model found;
};

static enum ig_code find_model(struct model_call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx,
                    "select " IG_GATEWAY_MODEL_COLUMNS
                    " from gateway_models d left join gateway_secrets s on s.id = d.secret"
                    " where d.id = $1",
                    IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err))
        call->found = ig_gateway_model_read(rows, 0, call->arena);
    else if (err->code == IG_OK)
        ig_gateway_absent("GatewayModelDefinition", "model_definition_id", call->id, err);
    ig_db_finish(rows);
    if (err->code == IG_OK && call->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "model");
    return err->code;
}

static enum ig_code secret_must_be_there(struct ig_db_tx *tx, struct ig_str id, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select 1 from gateway_secrets where id = $1",
                    IG_DB_VALUES(IG_DB_T(id)), err) != IG_OK)
        return err->code;
    if (!ig_db_next(rows, err) && err->code == IG_OK)
        ig_gateway_absent("GatewaySecret", "secret_id", id, err);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code name_taken(struct ig_err *err, struct ig_str name)
{
    if (err->code != IG_EXISTS) return err->code;
    ig_err_clear(err);
    return ig_fail(err, IG_EXISTS, "Model definition with name '%.*s' already exists",
                   IG_STR_ARGS(name));
}

static enum ig_code put_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct model_call *call = context;
    const struct ig_gateway_model_spec *spec = call->spec;
    bool first = !spec->id.len;
    if (!first && find_model(call, tx, err) != IG_OK) return err->code;
    if (spec->secret.len && secret_must_be_there(tx, spec->secret, err) != IG_OK) return err->code;
    const struct ig_db_value values[] = {IG_DB_T(call->id),
                                         ig_gateway_or_null(spec->name),
                                         ig_gateway_or_null(spec->secret),
                                         ig_gateway_or_null(spec->provider),
                                         ig_gateway_or_null(spec->model),
                                         IG_DB_I(ig_clock_unix_ms()),
                                         ig_gateway_or_null(spec->by)};
    if (ig_db_exec(tx,
                   first ? "insert into gateway_models(id, name, secret, provider, model,"
                           " created_ms, updated_ms, created_by, updated_by)"
                           " values($1, $2, $3, $4, $5, $6, $6, $7, $7)"
                         : "update gateway_models set name = coalesce($2, name),"
                           " secret = coalesce($3, secret), provider = coalesce($4, provider),"
                           " model = coalesce($5, model), updated_ms = $6,"
                           " updated_by = coalesce($7, updated_by) where id = $1",
                   values, 7, err) != IG_OK)
        return name_taken(err, spec->name);
    if (first && ig_grant_creator(tx, call->who, IG_OBJECT_DEFINITION, call->id, err) != IG_OK)
        return err->code;
    if (ig_audit_add(tx, call->who, first ? "gateway.model.create" : "gateway.model.update",
                     call->id, IG_STR(""), err) != IG_OK)
        return err->code;
    return find_model(call, tx, err);
}

static enum ig_code check_model(const struct ig_gateway_model_spec *spec, struct ig_err *err)
{
    const struct {
        struct ig_str text;
        const char *field;
    } texts[] = {{spec->name, "name"},
                 {spec->secret, "secret_id"},
                 {spec->provider, "provider"},
                 {spec->model, "model_name"}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if ((!spec->id.len || texts[i].text.ptr) &&
            ig_gateway_check_name(texts[i].text, texts[i].field, err) != IG_OK)
            return err->code;
    return spec->provider.ptr ? ig_gateway_provider_check(spec->provider, err) : IG_OK;
}

enum ig_code ig_gateway_model_put(struct ig_gateway_model *out, struct ig_gateway *gateway,
                                  const struct ig_principal *who,
                                  const struct ig_gateway_model_spec *spec, struct ig_arena *arena,
                                  struct ig_err *err)
{
    char id[IG_GATEWAY_ID_SIZE];
    struct model_call call = {.who = who, .spec = spec, .id = spec->id, .arena = arena};
    if (!spec->id.len) {
        ig_gateway_id_new(id, 'd');
        call.id = ig_str_view(id);
    }
    if (check_model(spec, err) != IG_OK) return err->code;
    if (ig_db_write(gateway->db, put_model, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code get_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    return find_model(context, tx, err);
}

enum ig_code ig_gateway_model_get(struct ig_gateway_model *out, struct ig_gateway *gateway,
                                  struct ig_str id, struct ig_arena *arena, struct ig_err *err)
{
    struct model_call call = {.id = id, .arena = arena};
    if (ig_db_read(gateway->db, get_model, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code delete_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct model_call *call = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select 1 from gateway_mappings where model = $1 limit 1",
                    IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err))
        ig_fail(err, IG_CONFLICT,
                "Cannot delete model definition that is currently in use by endpoints. Detach it "
                "from all endpoints first.");
    ig_db_finish(rows);
    if (err->code != IG_OK || ig_db_exec(tx, "delete from gateway_models where id = $1",
                                         IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    if (!ig_db_changes(tx))
        return ig_gateway_absent("GatewayModelDefinition", "model_definition_id", call->id, err);
    if (ig_grants_drop(tx, IG_OBJECT_DEFINITION, call->id, err) != IG_OK) return err->code;
    return ig_audit_add(tx, call->who, "gateway.model.delete", call->id, IG_STR(""), err);
}

enum ig_code ig_gateway_model_delete(struct ig_gateway *gateway, const struct ig_principal *who,
                                     struct ig_str id, struct ig_err *err)
{
    struct model_call call = {.who = who, .id = id};
    return ig_db_write(gateway->db, delete_model, &call, err);
}

static enum ig_code list_models(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct list_call *call = context;
    struct ig_db_rows *rows = NULL;
    size_t cap = 0;
    if (ig_db_query(&rows, tx,
                    "select " IG_GATEWAY_MODEL_COLUMNS
                    " from gateway_models d left join gateway_secrets s on s.id = d.secret"
                    " where ($1 = '' or d.provider = $1) and ($2 = '' or d.secret = $2)"
                    " order by d.created_ms, d.id limit $3",
                    IG_DB_VALUES(IG_DB_T(call->ask->provider), IG_DB_T(call->ask->secret),
                                 IG_DB_I(IG_GATEWAY_LIST_MAX)),
                    err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        call->models =
            ig_arena_grow(call->arena, call->models, call->count, &cap, sizeof *call->models);
        if (!call->models) {
            ig_fail(err, IG_NO_MEMORY, "models");
            break;
        }
        call->models[call->count++] = ig_gateway_model_read(rows, 0, call->arena);
    }
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_gateway_models(const struct ig_gateway_model **out, size_t *count,
                               struct ig_gateway *gateway, const struct ig_gateway_ask *ask,
                               struct ig_arena *arena, struct ig_err *err)
{
    struct list_call call = {.ask = ask, .arena = arena};
    if (ig_db_read(gateway->db, list_models, &call, err) != IG_OK) return err->code;
    *out = call.models;
    *count = call.count;
    return arena->overflowed ? ig_fail(err, IG_NO_MEMORY, "models") : IG_OK;
}
