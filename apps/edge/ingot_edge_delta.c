/* SPDX-License-Identifier: Apache-2.0 */
/* Applies deltas: a machine that takes one byte after the other. A token says how many bytes are
 * as in the old bundle and how many come with it; a token of 0 moves the place in the old one.
 * Owns nothing. */
#include "ingot_edge_delta.h"

#include "ingot_edge_file.h"
#include "ingot_edge_sign.h"

enum { MAGIC = 0x1a444749, VERSION = 1, DIGEST_BYTES = 32, OLD_AT = 16, NEW_AT = 48, LONG = 15 };
enum { HEADER, TOKEN, COPY_LENGTH, INSERT_LENGTH, INSERTS, SEEK };
enum { NUMBER_SHIFT_MAX = 28 };

void ige_delta_start(struct ige_delta *delta, const void *old, size_t old_size,
                     const struct ige_delta_sink *sink)
{
    delta->old = old;
    delta->old_size = old_size;
    delta->old_at = delta->new_size = delta->new_at = 0;
    delta->sink = *sink;
    delta->status = IGE_DELTA_OK;
    delta->header_at = delta->buffered = 0;
    delta->copy = delta->insert = delta->number = delta->shift = 0;
    delta->state = HEADER;
}

static int same(const uint8_t *a, const uint8_t *b, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        if (a[i] != b[i]) return 0;
    return 1;
}

static int has_digest(const void *bytes, size_t size, const uint8_t *digest)
{
    uint8_t own[IGE_HASH_BYTES];
    ige_blake2b(own, bytes, size);
    return same(own, digest, DIGEST_BYTES);
}

static enum ige_delta_status open(struct ige_delta *delta)
{
    const uint8_t *header = delta->header;
    if (ige_u32(header) != MAGIC || ige_u32(header + 4) != VERSION) return IGE_DELTA_BROKEN;
    if (ige_u32(header + 8) != delta->old_size ||
        !has_digest(delta->old, delta->old_size, header + OLD_AT))
        return IGE_DELTA_OTHER_BUNDLE;
    delta->new_size = ige_u32(header + 12);
    for (unsigned i = 0; i < DIGEST_BYTES; i++) delta->digest[i] = header[NEW_AT + i];
    delta->state = TOKEN;
    return delta->sink.begin(delta->sink.context, delta->new_size) ? IGE_DELTA_OK
                                                                   : IGE_DELTA_NOT_WRITTEN;
}

static enum ige_delta_status put(struct ige_delta *delta, uint8_t byte)
{
    if (delta->new_at == delta->new_size) return IGE_DELTA_BROKEN;
    delta->buffer[delta->buffered++] = byte;
    delta->new_at++;
    if (delta->buffered < IGE_DELTA_BUFFER_BYTES && delta->new_at < delta->new_size)
        return IGE_DELTA_OK;
    uint32_t size = delta->buffered;
    delta->buffered = 0;
    return delta->sink.write(delta->sink.context, delta->buffer, size) ? IGE_DELTA_OK
                                                                       : IGE_DELTA_NOT_WRITTEN;
}

/* The copy of a token whose lengths are known. */
static enum ige_delta_status copy(struct ige_delta *delta)
{
    if (delta->copy > delta->old_size - delta->old_at ||
        delta->copy > delta->new_size - delta->new_at ||
        delta->insert > delta->new_size - delta->new_at - delta->copy)
        return IGE_DELTA_BROKEN;
    while (delta->copy) {
        delta->copy--;
        enum ige_delta_status status = put(delta, delta->old[delta->old_at++]);
        if (status != IGE_DELTA_OK) return status;
    }
    /* Inserted bytes stand in the place of as many old ones, as far as there are any. */
    size_t left = delta->old_size - delta->old_at;
    delta->old_at += delta->insert < left ? delta->insert : left;
    delta->state = delta->insert ? INSERTS : TOKEN;
    return IGE_DELTA_OK;
}

/* Seven bits more of a number; 1: it is whole, 0: it goes on, -1: it is too great. */
static int take_number(struct ige_delta *delta, uint8_t byte)
{
    uint32_t bits = byte & 0x7fU;
    if (delta->shift == NUMBER_SHIFT_MAX && (bits > 15 || byte & 0x80)) return -1;
    delta->number |= bits << delta->shift;
    delta->shift += 7;
    return byte & 0x80 ? 0 : 1;
}

static uint32_t whole_number(struct ige_delta *delta)
{
    uint32_t number = delta->number;
    delta->number = delta->shift = 0;
    return number;
}

static enum ige_delta_status lengths(struct ige_delta *delta, uint8_t byte)
{
    uint32_t *length = delta->state == COPY_LENGTH ? &delta->copy : &delta->insert;
    int done = take_number(delta, byte);
    if (!done) return IGE_DELTA_OK;
    uint32_t more = whole_number(delta);
    if (done < 0 || more > UINT32_MAX - LONG) return IGE_DELTA_BROKEN;
    *length += more;
    if (delta->state == COPY_LENGTH && delta->insert == LONG) {
        delta->state = INSERT_LENGTH;
        return IGE_DELTA_OK;
    }
    return copy(delta);
}

static enum ige_delta_status token(struct ige_delta *delta, uint8_t byte)
{
    delta->copy = byte >> 4;
    delta->insert = byte & 15U;
    delta->number = delta->shift = 0;
    if (!byte)
        delta->state = SEEK;
    else if (delta->copy == LONG)
        delta->state = COPY_LENGTH;
    else if (delta->insert == LONG)
        delta->state = INSERT_LENGTH;
    else
        return copy(delta);
    return IGE_DELTA_OK;
}

/* The number's lowest bit says which way. */
static enum ige_delta_status seek(struct ige_delta *delta, uint8_t byte)
{
    int done = take_number(delta, byte);
    if (!done) return IGE_DELTA_OK;
    uint32_t number = whole_number(delta), distance = number >> 1;
    if (done < 0 || distance > (number & 1 ? delta->old_at : delta->old_size - delta->old_at))
        return IGE_DELTA_BROKEN;
    delta->old_at = number & 1 ? delta->old_at - distance : delta->old_at + distance;
    delta->state = TOKEN;
    return IGE_DELTA_OK;
}

static enum ige_delta_status take(struct ige_delta *delta, uint8_t byte)
{
    switch (delta->state) {
    case HEADER:
        delta->header[delta->header_at++] = byte;
        return delta->header_at == IGE_DELTA_HEADER_BYTES ? open(delta) : IGE_DELTA_OK;
    case TOKEN:
        return token(delta, byte);
    case SEEK:
        return seek(delta, byte);
    case INSERTS:
        if (!--delta->insert) delta->state = TOKEN;
        return put(delta, byte);
    default:
        return lengths(delta, byte);
    }
}

enum ige_delta_status ige_delta_feed(struct ige_delta *delta, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size && delta->status == IGE_DELTA_OK; i++)
        delta->status = take(delta, at[i]);
    return delta->status;
}

enum ige_delta_status ige_delta_finish(struct ige_delta *delta, const void *result)
{
    if (delta->status != IGE_DELTA_OK) return delta->status;
    if (delta->state != TOKEN || delta->new_at != delta->new_size) return IGE_DELTA_BROKEN;
    return has_digest(result, delta->new_size, delta->digest) ? IGE_DELTA_OK
                                                              : IGE_DELTA_WRONG_RESULT;
}
