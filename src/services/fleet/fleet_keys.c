/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that follow on each other. Devices believe a new key because the old one has signed it, so
 * the server keeps all of them with their signatures, for devices that were away meanwhile; it
 * cannot make one itself.
 *
 * No key comes twice in a group: a signature of long ago leads nowhere that is not newer. */
#include "services/fleet/fleet_priv.h"

#include "base/clock.h"
#include "base/hash.h"
#include "formats/edge/minisign.h"

#include <string.h>

enum { TEXT_MAX = 1024, NUMBER_AT = 2, NUMBER_BYTES = 8 };

static void write_number(char out[IG_FLEET_KEY_SIZE], const unsigned char *block)
{
    ig_hex(out, block + NUMBER_AT, NUMBER_BYTES);
}

enum ig_code ig_fleet_key_number(char out[IG_FLEET_KEY_SIZE], struct ig_str public_key,
                                 struct ig_err *err)
{
    unsigned char key[IG_MINISIGN_KEY_BYTES];
    if (ig_minisign_public_read(key, public_key, err) == IG_OK) write_number(out, key);
    return err->code;
}

enum ig_code ig_fleet_signer_number(char out[IG_FLEET_KEY_SIZE], struct ig_str signature,
                                    struct ig_err *err)
{
    unsigned char block[IG_MINISIGN_SIGNATURE_BYTES];
    if (ig_minisign_signature_read(block, signature, err) == IG_OK) write_number(out, block);
    return err->code;
}

/* ---- a new one ---- */

struct rotation {
    const struct ig_principal *who;
    struct ig_str group, public_key, signature;
    struct ig_str old_text; /* the key that signed it */
    char old_key[IG_FLEET_KEY_SIZE], new_key[IG_FLEET_KEY_SIZE];
};

static enum ig_code check(struct ig_db_tx *tx, const struct rotation *rotation, struct ig_err *err)
{
    int64_t open = 0, count = 0, used = 0, same = 0;
    if (ig_db_get_i64(&open, tx,
                      "select count(*) from fleet_rollouts where group_name = $1 and state in"
                      " ('running', 'paused')",
                      IG_DB_VALUES(IG_DB_T(rotation->group)), err) != IG_OK ||
        ig_db_get_i64(&count, tx, "select count(*) from fleet_keys where group_name = $1",
                      IG_DB_VALUES(IG_DB_T(rotation->group)), err) != IG_OK ||
        ig_db_get_i64(
            &used, tx, "select count(*) from fleet_keys where group_name = $1 and old_key = $2",
            IG_DB_VALUES(IG_DB_T(rotation->group), IG_DB_C(rotation->new_key)), err) != IG_OK ||
        ig_db_get_i64(
            &same, tx, "select count(*) from fleet_groups where name = $1 and public_key = $2",
            IG_DB_VALUES(IG_DB_T(rotation->group), IG_DB_T(rotation->old_text)), err) != IG_OK)
        return err->code;
    if (!same) return ig_fail(err, IG_CONFLICT, "the group's key has changed meanwhile");
    if (open)
        return ig_fail(err, IG_CONFLICT,
                       "a rollout of the group is open: its bundle is signed by the old key");
    if (used || strcmp(rotation->new_key, rotation->old_key) == 0)
        return ig_fail(err, IG_INVALID, "public_key: the group has or had this key");
    if (count >= IG_FLEET_KEYS_MAX)
        return ig_fail(err, IG_EXHAUSTED, "the group had %d keys already", IG_FLEET_KEYS_MAX);
    return IG_OK;
}

static enum ig_code insert_key(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct rotation *rotation = context;
    if (check(tx, rotation, err) != IG_OK ||
        ig_db_exec(tx,
                   "insert into fleet_keys(group_name, number, old_key, public_key, signature,"
                   " created_ms) select cast($1 as text), 1 + count(*), cast($2 as text),"
                   " cast($3 as text), cast($4 as text), cast($5 as bigint)"
                   " from fleet_keys where group_name = $1",
                   IG_DB_VALUES(IG_DB_T(rotation->group), IG_DB_C(rotation->old_key),
                                IG_DB_T(rotation->public_key), IG_DB_T(rotation->signature),
                                IG_DB_I(ig_clock_unix_ms())),
                   err) != IG_OK ||
        ig_db_exec(tx, "update fleet_groups set public_key = $2 where name = $1",
                   IG_DB_VALUES(IG_DB_T(rotation->group), IG_DB_T(rotation->public_key)),
                   err) != IG_OK)
        return err->code;
    return ig_fleet_audit(tx, rotation->who, "fleet.group.key", rotation->group, IG_STR(""), err);
}

static enum ig_code check_text(struct ig_str text, const char *name, struct ig_err *err)
{
    if (text.len <= TEXT_MAX && ig_str_utf8_valid(text)) return IG_OK;
    return ig_fail(err, IG_INVALID, "%s: expected at most %d bytes of text", name, TEXT_MAX);
}

/* The new key's file is what the old key has signed. */
static enum ig_code verify(struct rotation *rotation, struct ig_str old_text, struct ig_err *err)
{
    unsigned char old_key[IG_MINISIGN_KEY_BYTES], signature[IG_MINISIGN_SIGNATURE_BYTES];
    struct ig_err local = IG_ERR_INIT;
    rotation->old_text = old_text;
    if (ig_fleet_key_number(rotation->new_key, rotation->public_key, &local) != IG_OK)
        return ig_fail(err, IG_INVALID, "public_key: %s", local.message);
    if (ig_minisign_signature_read(signature, rotation->signature, &local) != IG_OK)
        return ig_fail(err, IG_INVALID, "signature: %s", local.message);
    if (ig_minisign_public_read(old_key, old_text, err) != IG_OK) return err->code;
    write_number(rotation->old_key, old_key);
    if (ig_minisign_verify(signature, old_key, rotation->public_key, &local) != IG_OK)
        return ig_fail(err, IG_INVALID, "signature: of the new key by the group's: %s",
                       local.message);
    return IG_OK;
}

enum ig_code ig_fleet_key_rotate(struct ig_fleet *fleet, const struct ig_principal *who,
                                 struct ig_str group, const struct ig_fleet_key *key,
                                 struct ig_err *err)
{
    struct rotation rotation = {
        .who = who, .group = group, .public_key = key->public_key, .signature = key->signature};
    struct ig_fleet_group found;
    struct ig_arena arena;
    ig_arena_init(&arena, 4096, 1 << 20);
    if (check_text(key->public_key, "public_key", err) == IG_OK &&
        check_text(key->signature, "signature", err) == IG_OK &&
        ig_fleet_group_get(&found, fleet, group, &arena, err) == IG_OK &&
        verify(&rotation, found.public_key, err) == IG_OK)
        ig_db_write(fleet->db, insert_key, &rotation, err);
    ig_arena_deinit(&arena);
    return err->code;
}

/* ---- reading ---- */

enum ig_code ig_fleet_find_keys(struct ig_fleet_keys *out, struct ig_db_tx *tx, struct ig_str group,
                                struct ig_str after, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    struct ig_fleet_key *items = NULL;
    size_t count = 0, cap = 0;
    enum ig_code code =
        ig_db_query(&rows, tx,
                    "select public_key, signature, created_ms from fleet_keys where group_name = $1"
                    " and ($2 = '' or number >= (select number from fleet_keys"
                    " where group_name = $1 and old_key = $2)) order by number",
                    IG_DB_VALUES(IG_DB_T(group), IG_DB_T(after)), err);
    while (code == IG_OK && ig_db_next(rows, err)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = (struct ig_fleet_key){.public_key = ig_db_text_dup(rows, 0, arena),
                                               .signature = ig_db_text_dup(rows, 1, arena),
                                               .created_ms = ig_db_i64(rows, 2)};
    }
    ig_db_finish(rows);
    if (arena->overflowed) ig_fail(err, IG_NO_MEMORY, "keys");
    *out = (struct ig_fleet_keys){items, count};
    return err->code;
}

struct listing {
    struct ig_str group;
    struct ig_arena *arena;
    struct ig_fleet_keys list;
};

static enum ig_code list_keys(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct listing *listing = context;
    if (ig_fleet_need_group(tx, listing->group, err) != IG_OK) return err->code;
    return ig_fleet_find_keys(&listing->list, tx, listing->group, IG_STR(""), listing->arena, err);
}

enum ig_code ig_fleet_key_list(struct ig_fleet_keys *out, struct ig_fleet *fleet,
                               struct ig_str group, struct ig_arena *arena, struct ig_err *err)
{
    struct listing listing = {.group = group, .arena = arena};
    if (ig_db_read(fleet->db, list_keys, &listing, err) == IG_OK) *out = listing.list;
    return err->code;
}
