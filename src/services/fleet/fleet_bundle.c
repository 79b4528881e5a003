/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles of groups. A bundle is verified before its row is written: by the group's key, its
 * target, its expiry, and a counter above all others, so that no device that holds an earlier one
 * can refuse it as replayed. */
#include "services/fleet/fleet_priv.h"

#include "base/clock.h"
#include "formats/edge/edge_delta.h"
#include "formats/edge/edge_header.h"
#include "formats/edge/minisign.h"

#include <stdio.h>

enum { SIGNATURE_MAX = 1024, SOURCE_SIZE = 192 };
#define BUNDLE_COLUMNS                                                                             \
    "digest, id, target, signature, source, counter, expiry_s, size_bytes, arena_bytes, "          \
    "created_ms"

static struct ig_fleet_bundle bundle_of(struct ig_db_rows *rows, struct ig_arena *arena)
{
    return (struct ig_fleet_bundle){
        .digest = ig_db_text_dup(rows, 0, arena),
        .id = ig_db_text_dup(rows, 1, arena),
        .target = ig_db_text_dup(rows, 2, arena),
        .signature = ig_db_text_dup(rows, 3, arena),
        .source = ig_db_text_dup(rows, 4, arena),
        .counter = ig_db_i64(rows, 5),
        .expiry_s = ig_db_i64(rows, 6),
        .size_bytes = ig_db_i64(rows, 7),
        .arena_bytes = ig_db_i64(rows, 8),
        .created_ms = ig_db_i64(rows, 9),
    };
}

/* ---- taking one ---- */

struct taking {
    const struct ig_principal *who;
    const struct ig_fleet_bundle_spec *spec;
    struct ig_edge_header header;
    size_t size_bytes;
    struct ig_str source;
};

static enum ig_code check_counter(struct ig_db_tx *tx, const struct taking *taking,
                                  struct ig_err *err)
{
    int64_t count = 0, greatest = 0;
    if (ig_db_get_i64(&count, tx, "select count(*) from fleet_bundles where group_name = $1",
                      IG_DB_VALUES(IG_DB_T(taking->spec->group)), err) != IG_OK ||
        ig_db_get_i64(&greatest, tx,
                      "select coalesce(max(counter), 0) from fleet_bundles where group_name = $1",
                      IG_DB_VALUES(IG_DB_T(taking->spec->group)), err) != IG_OK)
        return err->code;
    if (count >= IG_FLEET_BUNDLES_MAX)
        return ig_fail(err, IG_EXHAUSTED, "the group has %d bundles already", IG_FLEET_BUNDLES_MAX);
    if ((int64_t)taking->header.counter > greatest) return IG_OK;
    return ig_fail(
        err, IG_CONFLICT,
        "digest: the bundle's counter %lld is not above %lld, that of the group's newest",
        (long long)taking->header.counter, (long long)greatest);
}

static enum ig_code insert_bundle(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct taking *taking = context;
    const struct ig_fleet_bundle_spec *spec = taking->spec;
    const struct ig_edge_header *header = &taking->header;
    char object[2 * IG_NAME_SIZE + 32];
    if (ig_fleet_need_group(tx, spec->group, err) != IG_OK ||
        check_counter(tx, taking, err) != IG_OK)
        return err->code;
    if (ig_db_exec(tx,
                   "insert into fleet_bundles(group_name, " BUNDLE_COLUMNS ")"
                   " values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                   IG_DB_VALUES(IG_DB_T(spec->group), IG_DB_T(spec->digest), IG_DB_T(header->id),
                                IG_DB_T(header->target), IG_DB_T(spec->signature),
                                IG_DB_T(taking->source), IG_DB_I((int64_t)header->counter),
                                IG_DB_I((int64_t)header->expiry),
                                IG_DB_I((int64_t)taking->size_bytes), IG_DB_I(header->arena_bytes),
                                IG_DB_I(ig_clock_unix_ms())),
                   err) != IG_OK)
        return err->code;
    int length = snprintf(object, sizeof object, "%.*s/%llu", IG_STR_ARGS(spec->group),
                          (unsigned long long)header->counter);
    return ig_fleet_audit(tx, taking->who, "fleet.bundle.add",
                          (struct ig_str){object, (size_t)length}, IG_STR(""), err);
}

static enum ig_code verify(struct taking *taking, const struct ig_fleet_group *group,
                           struct ig_str bytes, struct ig_err *err)
{
    unsigned char key[IG_MINISIGN_KEY_BYTES], signature[IG_MINISIGN_SIGNATURE_BYTES];
    const struct ig_fleet_bundle_spec *spec = taking->spec;
    struct ig_err local = IG_ERR_INIT;
    if (spec->signature.len > SIGNATURE_MAX || !ig_str_utf8_valid(spec->signature))
        return ig_fail(err, IG_INVALID, "signature: expected at most %d bytes of text",
                       SIGNATURE_MAX);
    if (ig_minisign_signature_read(signature, spec->signature, &local) != IG_OK)
        return ig_fail(err, IG_INVALID, "signature: %s", local.message);
    if (ig_minisign_public_read(key, group->public_key, err) != IG_OK) return err->code;
    if (ig_minisign_verify(signature, key, bytes, &local) != IG_OK)
        return ig_fail(err, IG_INVALID, "signature: the bundle is refused: %s", local.message);
    if (ig_edge_header_read(&taking->header, bytes, &local) != IG_OK)
        return ig_fail(err, IG_INVALID, "digest: the bundle is refused: %s", local.message);
    struct ig_str target = taking->header.target;
    if (target.len && group->target.len && !ig_str_eq(target, group->target))
        return ig_fail(err, IG_INVALID,
                       "digest: the bundle is for the target '%.*s', the group's is '%.*s'",
                       IG_STR_ARGS(target), IG_STR_ARGS(group->target));
    int64_t now_s = ig_clock_unix_ms() / 1000;
    if (taking->header.expiry && (int64_t)taking->header.expiry < now_s)
        return ig_fail(err, IG_INVALID, "digest: the bundle expired %lld seconds ago",
                       (long long)(now_s - (int64_t)taking->header.expiry));
    return IG_OK;
}

enum ig_code ig_fleet_bundle_add(struct ig_fleet *fleet, const struct ig_principal *who,
                                 const struct ig_fleet_bundle_spec *spec, struct ig_err *err)
{
    struct taking taking = {.who = who, .spec = spec, .source = IG_STR("")};
    struct ig_fleet_group group;
    struct ig_arena arena;
    struct ig_buf bytes;
    char source[SOURCE_SIZE];
    ig_arena_init(&arena, 4096, 1 << 20);
    ig_buf_init(&bytes, IG_FLEET_BUNDLE_MAX_BYTES);
    if (spec->model.len && ig_name_check(spec->model, "model", err) == IG_OK) {
        int length = snprintf(source, sizeof source, "models:/%.*s/%lld", IG_STR_ARGS(spec->model),
                              (long long)spec->version);
        taking.source = (struct ig_str){source, (size_t)length};
    }
    if (err->code == IG_OK &&
        ig_fleet_group_get(&group, fleet, spec->group, &arena, err) == IG_OK &&
        ig_blob_check_digest(spec->digest, err) == IG_OK &&
        ig_blob_keep(fleet->blobs, spec->digest, err) == IG_OK &&
        ig_blob_read(&bytes, fleet->blobs, spec->digest, err) == IG_OK) {
        taking.size_bytes = bytes.len;
        if (verify(&taking, &group, ig_buf_view(&bytes), err) == IG_OK)
            ig_db_write(fleet->db, insert_bundle, &taking, err);
    }
    ig_buf_deinit(&bytes);
    ig_arena_deinit(&arena);
    return err->code;
}

/* ---- reading ---- */

struct listing {
    struct ig_str group;
    struct ig_fleet_bundle key;
    struct ig_arena *arena;
    struct ig_fleet_bundles list;
};

static enum ig_code read_bundles(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct listing *listing = context;
    struct ig_db_rows *rows = NULL;
    size_t count = 0, cap = 0;
    struct ig_fleet_bundle *items = NULL;
    if (ig_fleet_need_group(tx, listing->group, err) != IG_OK) return err->code;
    enum ig_code code = ig_db_query(&rows, tx,
                                    "select " BUNDLE_COLUMNS " from fleet_bundles"
                                    " where group_name = $1 order by counter desc",
                                    IG_DB_VALUES(IG_DB_T(listing->group)), err);
    while (code == IG_OK && ig_db_next(rows, err)) {
        items = ig_arena_grow(listing->arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = bundle_of(rows, listing->arena);
    }
    ig_db_finish(rows);
    if (listing->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "list of bundles");
    listing->list = (struct ig_fleet_bundles){items, count};
    return err->code;
}

enum ig_code ig_fleet_bundle_list(struct ig_fleet_bundles *out, struct ig_fleet *fleet,
                                  struct ig_str group, struct ig_arena *arena, struct ig_err *err)
{
    struct listing listing = {.group = group, .arena = arena};
    if (ig_db_read(fleet->db, read_bundles, &listing, err) == IG_OK) *out = listing.list;
    return err->code;
}

enum ig_code ig_fleet_find_bundle(struct ig_fleet_bundle *out, struct ig_db_tx *tx,
                                  struct ig_str group, const struct ig_fleet_bundle *key,
                                  struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    bool found = false;
    if (ig_db_query(&rows, tx,
                    "select " BUNDLE_COLUMNS " from fleet_bundles where group_name = $1"
                    " and (digest = $2 or ($2 = '' and counter = $3))",
                    IG_DB_VALUES(IG_DB_T(group), IG_DB_T(key->digest), IG_DB_I(key->counter)),
                    err) == IG_OK &&
        ig_db_next(rows, err)) {
        *out = bundle_of(rows, arena);
        found = true;
    }
    ig_db_finish(rows);
    if (err->code != IG_OK) return err->code;
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "a bundle");
    return found ? IG_OK : ig_fleet_not_there("bundle", key->digest, err);
}

static enum ig_code read_bundle(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct listing *listing = context;
    struct ig_fleet_bundle *out = &listing->key;
    return ig_fleet_find_bundle(out, tx, listing->group, &listing->key, listing->arena, err);
}

enum ig_code ig_fleet_bundle_get(struct ig_fleet_bundle *out, struct ig_fleet *fleet,
                                 struct ig_str group, struct ig_str digest, struct ig_arena *arena,
                                 struct ig_err *err)
{
    struct listing listing = {.group = group, .key = {.digest = digest}, .arena = arena};
    if (ig_blob_check_digest(digest, err) != IG_OK) return err->code;
    if (ig_db_read(fleet->db, read_bundle, &listing, err) == IG_OK) *out = listing.key;
    return err->code;
}

/* ---- deltas ---- */

struct delta {
    struct ig_str from, to;
    char digest[IG_SHA256_HEX];
    int64_t size_bytes;
    bool known;
};

static enum ig_code read_delta(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct delta *delta = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx,
                    "select digest, size_bytes from fleet_deltas where from_digest = $1"
                    " and to_digest = $2",
                    IG_DB_VALUES(IG_DB_T(delta->from), IG_DB_T(delta->to)), err) == IG_OK &&
        ig_db_next(rows, err)) {
        snprintf(delta->digest, sizeof delta->digest, "%.*s", IG_STR_ARGS(ig_db_text(rows, 0)));
        delta->size_bytes = ig_db_i64(rows, 1);
        delta->known = true;
    }
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code insert_delta(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct delta *delta = context;
    return ig_db_exec(tx,
                      "insert into fleet_deltas(from_digest, to_digest, digest, size_bytes)"
                      " values($1, $2, $3, $4) on conflict (from_digest, to_digest) do nothing",
                      IG_DB_VALUES(IG_DB_T(delta->from), IG_DB_T(delta->to), IG_DB_C(delta->digest),
                                   IG_DB_I(delta->size_bytes)),
                      err);
}

/* Stores it, unless it saves less than a fifth of the bundle. */
static enum ig_code make_delta(struct delta *delta, struct ig_fleet *fleet, struct ig_err *err)
{
    struct ig_buf old, new, out;
    ig_buf_init(&old, IG_FLEET_BUNDLE_MAX_BYTES);
    ig_buf_init(&new, IG_FLEET_BUNDLE_MAX_BYTES);
    ig_buf_init(&out, 2 * (size_t)IG_FLEET_BUNDLE_MAX_BYTES);
    if (ig_blob_read(&old, fleet->blobs, delta->from, err) == IG_OK &&
        ig_blob_read(&new, fleet->blobs, delta->to, err) == IG_OK &&
        ig_edge_delta_write(&out, ig_buf_view(&old), ig_buf_view(&new), err) == IG_OK &&
        out.len < new.len / 5 * 4 &&
        ig_blob_put(delta->digest, fleet->blobs, ig_buf_view(&out), err) == IG_OK)
        delta->size_bytes = (int64_t)out.len;
    ig_buf_deinit(&old);
    ig_buf_deinit(&new);
    ig_buf_deinit(&out);
    return err->code;
}

enum ig_code ig_fleet_delta(char digest[IG_SHA256_HEX], int64_t *size_bytes, struct ig_fleet *fleet,
                            struct ig_str from, struct ig_str to, struct ig_err *err)
{
    struct delta delta = {.from = from, .to = to};
    if (ig_db_read(fleet->db, read_delta, &delta, err) != IG_OK) return err->code;
    if (!delta.known && (make_delta(&delta, fleet, err) != IG_OK ||
                         ig_db_write(fleet->db, insert_delta, &delta, err) != IG_OK))
        return err->code;
    memcpy(digest, delta.digest, IG_SHA256_HEX);
    *size_bytes = delta.size_bytes;
    return IG_OK;
}
