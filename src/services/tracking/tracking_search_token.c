/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of pages: the digest of the search, then what is said of the last row: its id, or its
 * keys.
 *
 * Thread rule: nothing is shared. */
#include "services/tracking/tracking_search_priv.h"

#include "base/hash.h"

#include <stdio.h>
#include <string.h>

bool ig_tracking_are_removed(enum ig_tracking_kind kind)
{
    return kind == IG_TRACKING_MODELS || kind == IG_TRACKING_VERSIONS ||
           kind == IG_TRACKING_TRACES || kind == IG_TRACKING_EVALUATIONS ||
           kind == IG_TRACKING_ISSUES;
}

/* The keys of the row: whole numbers in decimal, texts in hex, points between them. */
struct ig_str ig_tracking_token_mark(const struct ig_tracking_query *query, struct ig_db_rows *rows)
{
    struct ig_buf text;
    ig_buf_init(&text, IG_TRACKING_MARK_MAX);
    for (size_t i = 0; i < query->keys_count; i++) {
        int at = (int)i + 1;
        if (i) ig_buf_add_char(&text, '.');
        if (query->keys[i].type == IG_TRACKING_KEY_WHOLE)
            ig_buf_add_i64(&text, ig_db_i64(rows, at));
        if (query->keys[i].type == IG_TRACKING_KEY_WORDS) {
            struct ig_str words = ig_db_text(rows, at);
            if (!ig_buf_reserve(&text, 2 * words.len + 1)) break;
            ig_hex(text.ptr + text.len, (const unsigned char *)words.ptr, words.len);
            text.len += 2 * words.len;
        }
    }
    struct ig_str mark = ig_arena_dup(query->arena, ig_buf_view(&text));
    ig_buf_deinit(&text);
    return mark;
}

static bool unhex(struct ig_str *out, struct ig_str text, struct ig_arena *arena)
{
    char *bytes = ig_arena_alloc(arena, text.len / 2 + 1);
    if (!bytes || text.len % 2) return false;
    for (size_t i = 0; i < text.len; i += 2) {
        int high = ig_hex_digit(text.ptr[i]), low = ig_hex_digit(text.ptr[i + 1]);
        if (high < 0 || low < 0) return false;
        bytes[i / 2] = (char)(high << 4 | low);
    }
    *out = (struct ig_str){bytes, text.len / 2};
    return ig_str_utf8_valid(*out);
}

static bool read_mark(struct ig_tracking_query *query)
{
    struct ig_str rest = query->after, words;
    for (size_t i = 0; i < query->keys_count; i++) {
        struct ig_tracking_key *key = &query->keys[i];
        int64_t number;
        struct ig_str part = ig_str_cut(&rest, '.');
        if (!part.ptr) return false;
        if (key->type == IG_TRACKING_KEY_WHOLE && ig_str_to_i64(part, &number))
            key->last = IG_DB_I(number);
        else if (key->type == IG_TRACKING_KEY_WORDS && unhex(&words, part, query->arena))
            key->last = IG_DB_T(words);
        else
            return false;
    }
    return !rest.ptr;
}

static void hash_text(struct ig_sha256 *hash, struct ig_str text)
{
    char length[32];
    ig_sha256_update(hash, length, (size_t)snprintf(length, sizeof length, "%zu:", text.len));
    if (text.len) ig_sha256_update(hash, text.ptr, text.len);
}

static void hash_logged(struct ig_sha256 *hash, const struct ig_tracking_search *search)
{
    for (size_t i = 0; search->logged_orders && i < search->orders_count; i++) {
        const struct ig_tracking_logged_order *order = &search->logged_orders[i];
        hash_text(hash, order->field);
        hash_text(hash, order->descending ? IG_STR("desc") : IG_STR("asc"));
        hash_text(hash, order->dataset.name);
        hash_text(hash, order->dataset.digest);
    }
    for (size_t i = 0; i < search->datasets_count; i++) {
        hash_text(hash, search->datasets[i].name);
        hash_text(hash, search->datasets[i].digest);
    }
}

/* What a token is bound to: all of the search but the size of its pages. */
static enum ig_code digest(struct ig_tracking_query *query, struct ig_err *err)
{
    const struct ig_tracking_search *search = query->search;
    unsigned char bytes[IG_SHA256_BYTES];
    char head[96], hex[IG_SHA256_HEX];
    struct ig_sha256 *hash = ig_sha256_new();
    if (!hash) return ig_fail(err, IG_NO_MEMORY, "search");
    snprintf(head, sizeof head, "%d %d %zu %zu %d", (int)search->kind, (int)search->view,
             search->experiments_count, search->orders_count, search->traces_counted);
    hash_text(hash, ig_str_view(head));
    hash_text(hash, search->filter);
    for (size_t i = 0; search->orders && i < search->orders_count; i++)
        hash_text(hash, search->orders[i]);
    hash_logged(hash, search);
    for (size_t i = 0; i < search->experiments_count; i++) {
        snprintf(head, sizeof head, "%lld", (long long)search->experiments[i]);
        hash_text(hash, ig_str_view(head));
    }
    ig_sha256_final(hash, bytes);
    ig_sha256_free(hash);
    ig_hex(hex, bytes, sizeof bytes);
    snprintf(query->out->digest, sizeof query->out->digest, "%.*s", IG_TRACKING_DIGEST_HEX, hex);
    return IG_OK;
}

enum ig_code ig_tracking_token_read(struct ig_tracking_query *query, struct ig_err *err)
{
    struct ig_str token = query->search->token;
    int64_t number;
    if (digest(query, err) != IG_OK) return err->code;
    if (!token.len) return IG_OK;
    if (token.len <= IG_TRACKING_DIGEST_HEX ||
        token.len > IG_TRACKING_DIGEST_HEX + IG_TRACKING_MARK_MAX)
        return ig_fail(err, IG_INVALID, "Invalid page token, '%.*s' is none of this server",
                       IG_STR_ARGS(token));
    if (memcmp(token.ptr, query->out->digest, IG_TRACKING_DIGEST_HEX) != 0)
        return ig_fail(err, IG_INVALID, "Invalid page token, '%.*s' is of another search",
                       IG_STR_ARGS(token));
    query->after =
        (struct ig_str){token.ptr + IG_TRACKING_DIGEST_HEX, token.len - IG_TRACKING_DIGEST_HEX};
    bool good = ig_tracking_are_removed(query->search->kind) ? read_mark(query)
                : query->search->kind == IG_TRACKING_EXPERIMENTS
                    ? ig_str_to_i64(query->after, &number)
                    : true;
    if (!good)
        return ig_fail(err, IG_INVALID, "Invalid page token, '%.*s' is no row",
                       (int)(query->after.len > 64 ? 64 : query->after.len), query->after.ptr);
    return IG_OK;
}
