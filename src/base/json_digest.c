/* SPDX-License-Identifier: Apache-2.0 */
/* A tree of hashes: a list's is of its elements' in their order, an object's of its members' in the
 * order of their hashes. Open lists and objects are on a stack, no recursion. */
#include "base/json_digest.h"

#include "base/num.h"

#include <stdlib.h>

struct hash {
    unsigned char bytes[IG_SHA256_BYTES];
};

struct walk {
    struct hash *items; /* of all that the open ones hold so far */
    size_t count, cap;
    struct {
        size_t first; /* of its own items */
        bool object;
        struct ig_str key; /* of the member at hand */
    } open[IG_JSON_DEPTH_MAX + 1];
    size_t depth;
    struct ig_arena *arena;
    struct ig_err *err;
};

static enum ig_code hash_parts(struct hash *out, const struct walk *walk, char tag,
                               struct ig_str first, struct ig_str second)
{
    struct ig_sha256 *hash = ig_sha256_new();
    uint64_t length = first.len;
    if (!hash) return ig_fail(walk->err, IG_NO_MEMORY, "no memory for a hash");
    ig_sha256_update(hash, &tag, 1);
    ig_sha256_update(hash, &length, sizeof length);
    if (first.len) ig_sha256_update(hash, first.ptr, first.len);
    if (second.len) ig_sha256_update(hash, second.ptr, second.len);
    ig_sha256_final(hash, out->bytes);
    ig_sha256_free(hash);
    return IG_OK;
}

/* Adds a value to the list or object that holds it; as a member with its key. */
static enum ig_code add(struct walk *walk, struct hash value)
{
    struct ig_str bytes = {(const char *)value.bytes, sizeof value.bytes};
    if (walk->depth && walk->open[walk->depth - 1].object &&
        hash_parts(&value, walk, 'm', walk->open[walk->depth - 1].key, bytes) != IG_OK)
        return walk->err->code;
    walk->items =
        ig_arena_grow(walk->arena, walk->items, walk->count, &walk->cap, sizeof *walk->items);
    if (!walk->items) return ig_fail(walk->err, IG_NO_MEMORY, "no memory for a hash");
    walk->items[walk->count++] = value;
    return IG_OK;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct hash));
}

static enum ig_code close_one(struct walk *walk)
{
    size_t first = walk->open[--walk->depth].first;
    bool object = walk->open[walk->depth].object;
    struct hash value;
    if (object && walk->count > first)
        qsort(walk->items + first, walk->count - first, sizeof *walk->items, compare);
    struct ig_str all = {walk->items ? (const char *)(walk->items + first) : NULL,
                         (walk->count - first) * sizeof *walk->items};
    if (hash_parts(&value, walk, object ? '{' : '[', all, IG_STR("")) != IG_OK)
        return walk->err->code;
    walk->count = first;
    return add(walk, value);
}

static enum ig_code add_scalar(struct walk *walk, const struct ig_json *json,
                               enum ig_json_event event)
{
    char number[IG_NUM_TEXT_MAX], tag = 'n';
    struct ig_str text = IG_STR("");
    struct hash value;
    double fraction;
    if (event == IG_JSON_BOOL) tag = json->boolean ? 't' : 'f';
    if (event == IG_JSON_STRING || event == IG_JSON_NUMBER) {
        tag = event == IG_JSON_STRING ? 's' : 'i';
        text = json->text;
    }
    for (size_t i = 0; tag == 'i' && i < text.len; i++)
        if (text.ptr[i] == '.' || text.ptr[i] == 'e' || text.ptr[i] == 'E') tag = 'd';
    if (tag == 'd' && ig_str_to_f64(text, &fraction))
        text = (struct ig_str){number, ig_num_format_f64(number, fraction)};
    if (hash_parts(&value, walk, tag, text, IG_STR("")) != IG_OK) return walk->err->code;
    return add(walk, value);
}

enum ig_code ig_json_digest(unsigned char digest[IG_SHA256_BYTES], struct ig_str text,
                            struct ig_arena *arena, struct ig_err *err)
{
    struct walk walk = {.arena = arena, .err = err};
    struct ig_json json;
    ig_json_init(&json, text, arena, err);
    for (;;) {
        enum ig_json_event event = ig_json_next(&json);
        if (event == IG_JSON_ERROR || event == IG_JSON_END) break;
        if (event == IG_JSON_KEY) {
            walk.open[walk.depth - 1].key = json.text;
        } else if (event == IG_JSON_OBJECT || event == IG_JSON_ARRAY) {
            walk.open[walk.depth].first = walk.count;
            walk.open[walk.depth++].object = event == IG_JSON_OBJECT;
        } else if (event == IG_JSON_OBJECT_END || event == IG_JSON_ARRAY_END) {
            close_one(&walk);
        } else {
            add_scalar(&walk, &json, event);
        }
        if (err->code != IG_OK) break;
    }
    if (err->code != IG_OK) return err->code;
    IG_ASSERT(walk.items);
    memcpy(digest, walk.items[0].bytes, IG_SHA256_BYTES);
    return IG_OK;
}
