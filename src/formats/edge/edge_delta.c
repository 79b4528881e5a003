/* SPDX-License-Identifier: Apache-2.0 */
/* Writes deltas. A model trained anew on the same data keeps its shape while leaves and thresholds
 * change, so bytes are compared along one alignment of old and new, with short replacements in
 * between; another alignment is taken where an exact match, found by a hash of 8 bytes and chains
 * of earlier places, is longer by more than a move costs (as bsdiff chooses: Percival, Naive
 * differences of executable code). Stateless. */
#include "formats/edge/edge_delta.h"

#include "base/ed25519.h"
#include "base/mem.h"

enum {
    VERSION = 1,
    DIGEST_BYTES = 32,
    KEY_BYTES = 8,
    HASH_BITS_MIN = 10,
    HASH_BITS_MAX = 24,
    CHAIN_MAX = 24,
    MOVE_COST = 8, /* a match has to be better by more than this */
    PATIENCE = 64,
    LONG = 15,
    SIZE_MAX_BYTES = 1 << 30,
};

struct writer {
    struct ig_buf *out;
    const unsigned char *old, *new;
    size_t old_size, new_size;
    uint32_t *heads, *chains; /* places in the old plus 1; 0: none */
    unsigned hash_bits;       /* about one head a place */
    size_t copy, insert;      /* of the token under way */
    size_t literal_at;        /* where its inserted bytes begin in the new */
};

static void put_u32(struct ig_buf *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) ig_buf_add_char(out, (char)(value >> (8 * i)));
}

static void put_number(struct ig_buf *out, size_t value)
{
    for (; value > 0x7f; value >>= 7) ig_buf_add_char(out, (char)(value | 0x80));
    ig_buf_add_char(out, (char)value);
}

static void flush(struct writer *writer)
{
    size_t copy = writer->copy, insert = writer->insert;
    if (!copy && !insert) return;
    size_t high = copy < LONG ? copy : LONG, low = insert < LONG ? insert : LONG;
    ig_buf_add_char(writer->out, (char)(high << 4 | low));
    if (high == LONG) put_number(writer->out, copy - LONG);
    if (low == LONG) put_number(writer->out, insert - LONG);
    ig_buf_add(writer->out, writer->new + writer->literal_at, insert);
    writer->copy = writer->insert = 0;
}

static void move(struct writer *writer, size_t from, size_t to)
{
    flush(writer);
    ig_buf_add_char(writer->out, 0);
    put_number(writer->out, to < from ? (from - to) << 1 | 1 : (to - from) << 1);
}

static uint32_t hash_of(const struct writer *writer, const unsigned char *at)
{
    uint64_t key;
    memcpy(&key, at, KEY_BYTES);
    return (uint32_t)(key * 0x9e3779b97f4a7c15U >> (64 - writer->hash_bits));
}

static void index_old(struct writer *writer)
{
    for (size_t i = 0; i + KEY_BYTES <= writer->old_size; i++) {
        uint32_t *head = &writer->heads[hash_of(writer, writer->old + i)];
        writer->chains[i] = *head;
        *head = (uint32_t)i + 1;
    }
}

static size_t equal_bytes(const struct writer *writer, size_t old_at, size_t new_at)
{
    size_t left = writer->old_size - old_at, count = 0;
    if (writer->new_size - new_at < left) left = writer->new_size - new_at;
    while (count < left && writer->old[old_at + count] == writer->new[new_at + count]) count++;
    return count;
}

/* The longest match of what is to come; its length, and its place in *at. */
static size_t longest(const struct writer *writer, size_t new_at, size_t *at)
{
    size_t best = 0;
    if (new_at + KEY_BYTES > writer->new_size) return 0;
    uint32_t place = writer->heads[hash_of(writer, writer->new + new_at)];
    for (int i = 0; i < CHAIN_MAX && place; i++, place = writer->chains[place - 1]) {
        size_t length = equal_bytes(writer, place - 1, new_at);
        if (length <= best) continue;
        best = length;
        *at = place - 1;
    }
    return best;
}

/* How many of the next `length` bytes are the same where we are. */
static size_t same_here(const struct writer *writer, size_t old_at, size_t new_at, size_t length)
{
    size_t same = 0;
    for (size_t i = 0; i < length && old_at + i < writer->old_size; i++)
        same += writer->old[old_at + i] == writer->new[new_at + i];
    return same;
}

/* Where bytes match nothing for long, they are looked up ever more seldom: what is new altogether
 * takes little more time than its length. */
struct pace {
    size_t next, misses;
};

static bool jump(struct writer *writer, struct pace *pace, size_t new_at, size_t *old_at)
{
    size_t place = 0;
    if (new_at < pace->next) return false;
    size_t length = longest(writer, new_at, &place);
    if (length <= same_here(writer, *old_at, new_at, length) + MOVE_COST) {
        pace->next = new_at + 1 + ++pace->misses / PATIENCE;
        return false;
    }
    move(writer, *old_at, place);
    *old_at = place;
    pace->misses = 0;
    return true;
}

static void compare(struct writer *writer)
{
    size_t old_at = 0, new_at = 0;
    struct pace pace = {0, 0};
    while (new_at < writer->new_size && !writer->out->overflowed) {
        bool equal = old_at < writer->old_size && writer->old[old_at] == writer->new[new_at];
        if (!equal) equal = jump(writer, &pace, new_at, &old_at);
        if (equal && writer->copy >= KEY_BYTES) pace = (struct pace){new_at, 0};
        if (equal && writer->insert) flush(writer);
        if (!equal && !writer->insert) writer->literal_at = new_at;
        writer->copy += equal;
        writer->insert += !equal;
        old_at += old_at < writer->old_size;
        new_at++;
    }
    flush(writer);
}

static enum ig_code put_header(struct ig_buf *out, struct ig_str old, struct ig_str new,
                               struct ig_err *err)
{
    unsigned char digest[IG_BLAKE2B_BYTES];
    ig_buf_add_cstr(out, "IGD\x1a");
    put_u32(out, VERSION);
    put_u32(out, (uint32_t)old.len);
    put_u32(out, (uint32_t) new.len);
    if (ig_blake2b(digest, old, err) != IG_OK) return err->code;
    ig_buf_add(out, digest, DIGEST_BYTES);
    if (ig_blake2b(digest, new, err) != IG_OK) return err->code;
    ig_buf_add(out, digest, DIGEST_BYTES);
    return IG_OK;
}

enum ig_code ig_edge_delta_write(struct ig_buf *out, struct ig_str old, struct ig_str new,
                                 struct ig_err *err)
{
    struct writer writer = {.out = out,
                            .old = (const unsigned char *)old.ptr,
                            .new = (const unsigned char *)new.ptr,
                            .old_size = old.len,
                            .new_size = new.len};
    if (old.len >= SIZE_MAX_BYTES || new.len >= SIZE_MAX_BYTES)
        return ig_fail(err, IG_TOO_LARGE, "a delta is of bundles below %d bytes", SIZE_MAX_BYTES);
    writer.hash_bits = HASH_BITS_MIN;
    while (writer.hash_bits < HASH_BITS_MAX && (size_t)1 << writer.hash_bits < old.len)
        writer.hash_bits++;
    writer.heads = ig_zalloc_array((size_t)1 << writer.hash_bits, sizeof *writer.heads);
    writer.chains = ig_zalloc_array(old.len + 1, sizeof *writer.chains);
    if (!writer.heads || !writer.chains)
        ig_fail(err, IG_NO_MEMORY, "no memory for a delta");
    else if (put_header(out, old, new, err) == IG_OK) {
        index_old(&writer);
        compare(&writer);
        if (out->overflowed) ig_fail(err, IG_TOO_LARGE, "no room for a delta");
    }
    ig_free(writer.heads);
    ig_free(writer.chains);
    return err->code;
}
