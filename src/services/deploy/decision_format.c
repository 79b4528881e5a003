/* SPDX-License-Identifier: Apache-2.0 */
/* The decision log's file format, and the reader that replays it. Thread rule: pure. */
#include "base/crc32.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"
#include "services/deploy/decision_priv.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FORMAT = 2, SEGMENTS_MAX = 1000000 };
static const size_t SEGMENT_MAX_BYTES = (size_t)1 << 32;
static const char MAGIC[12] = "IGDECISIONS";

/* The host is little-endian on every platform this runs on; a big-endian one would be noticed. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is written as it lies");

static unsigned char *put(unsigned char *at, const void *bytes, size_t size)
{
    memcpy(at, bytes, size);
    return at + size;
}

static unsigned char *put_text(unsigned char *at, struct ig_str text, size_t max)
{
    size_t length = text.len < max ? text.len : max;
    *at++ = (unsigned char)length;
    if (length) memcpy(at, text.ptr, length);
    return at + length;
}

size_t ig_decision_encode(unsigned char record[IG_DECISION_RECORD_MAX],
                          const struct ig_decision *decision)
{
    unsigned char *at = record + IG_DECISION_FRAME_BYTES;
    *at++ = (unsigned char)decision->kind;
    *at++ = decision->flags;
    at = put(at, &decision->status, 2);
    at = put(at, &decision->rows, 4);
    at = put(at, &decision->flips, 4);
    at = put(at, &decision->at_ms, 8);
    at = put(at, &decision->latency_ns, 8);
    at = put(at, &decision->compute_ns, 8);
    at = put(at, &decision->before_ns, 8);
    at = put(at, &decision->version, 8);
    at = put(at, &decision->revision, 8);
    at = put(at, &decision->unit, 8);
    at = put(at, &decision->propensity, 8);
    at = put(at, &decision->value, 8);
    at = put(at, decision->input_digest, IG_SHA256_BYTES);
    at = put(at, decision->output_digest, IG_SHA256_BYTES);
    at = put_text(at, decision->request_id, IG_DECISION_TEXT_MAX);
    at = put_text(at, decision->deployment, IG_DECISION_TEXT_MAX);
    at = put_text(at, decision->model, IG_DECISION_TEXT_MAX);
    at = put_text(at, decision->principal, IG_DECISION_TEXT_MAX);
    at = put_text(at, decision->metric, IG_DECISION_TEXT_MAX);
    at = put_text(at, decision->arms, IG_DECISION_ARMS_SIZE - 1);
    return (size_t)(at - record);
}

void ig_decision_seal(unsigned char *record, size_t record_bytes)
{
    uint32_t length = (uint32_t)(record_bytes - IG_DECISION_FRAME_BYTES);
    uint32_t crc = ig_crc32(record + IG_DECISION_FRAME_BYTES, length);
    memcpy(record, &length, 4);
    memcpy(record + 4, &crc, 4);
}

static const unsigned char *take(void *to, const unsigned char *at, size_t size)
{
    memcpy(to, at, size);
    return at + size;
}

static const unsigned char *take_text(struct ig_str *text, const unsigned char *at,
                                      const unsigned char *end, size_t max)
{
    if (!at || at == end || (size_t)(end - at) - 1 < *at || *at > max) return NULL;
    *text = (struct ig_str){(const char *)at + 1, *at};
    return at + 1 + *at;
}

bool ig_decision_decode(struct ig_decision *out, const unsigned char *payload, size_t payload_bytes)
{
    const unsigned char *at = payload, *end = payload + payload_bytes;
    if (payload_bytes < IG_DECISION_FIXED_BYTES || *at >= IG_DECISION_KINDS_COUNT) return false;
    out->kind = (enum ig_decision_kind) * at++;
    out->flags = *at++;
    at = take(&out->status, at, 2);
    at = take(&out->rows, at, 4);
    at = take(&out->flips, at, 4);
    at = take(&out->at_ms, at, 8);
    at = take(&out->latency_ns, at, 8);
    at = take(&out->compute_ns, at, 8);
    at = take(&out->before_ns, at, 8);
    at = take(&out->version, at, 8);
    at = take(&out->revision, at, 8);
    at = take(&out->unit, at, 8);
    at = take(&out->propensity, at, 8);
    at = take(&out->value, at, 8);
    at = take(out->input_digest, at, IG_SHA256_BYTES);
    at = take(out->output_digest, at, IG_SHA256_BYTES);
    at = take_text(&out->request_id, at, end, IG_DECISION_TEXT_MAX);
    at = take_text(&out->deployment, at, end, IG_DECISION_TEXT_MAX);
    at = take_text(&out->model, at, end, IG_DECISION_TEXT_MAX);
    at = take_text(&out->principal, at, end, IG_DECISION_TEXT_MAX);
    at = take_text(&out->metric, at, end, IG_DECISION_TEXT_MAX);
    at = take_text(&out->arms, at, end, IG_DECISION_ARMS_SIZE - 1);
    return at == end;
}

void ig_decision_header(unsigned char header[IG_DECISION_HEADER_BYTES])
{
    const uint32_t format = FORMAT;
    memcpy(header, MAGIC, sizeof MAGIC);
    memcpy(header + sizeof MAGIC, &format, 4);
}

void ig_decision_name(char name[IG_DECISION_NAME_SIZE], uint64_t number)
{
    snprintf(name, IG_DECISION_NAME_SIZE, "%020llu.igd", (unsigned long long)number);
}

static int compare_numbers(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

enum ig_code ig_decision_segments(uint64_t **out, size_t *count, int dirfd, struct ig_err *err)
{
    struct {
        uint64_t *items;
        size_t count, cap;
    } numbers = {0};
    int fd = -1;
    enum ig_code code = ig_dir_open(&fd, dirfd, ".", err);
    if (code != IG_OK) return code;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        ig_file_close(&fd);
        return ig_fail(err, IG_IO, "decisions: %s", strerror(errno));
    }
    for (struct dirent *entry; code == IG_OK && (entry = readdir(dir));) {
        uint64_t number;
        if (strlen(entry->d_name) != IG_DECISION_NAME_SIZE - 1 ||
            strcmp(entry->d_name + 20, ".igd") != 0 ||
            !ig_str_to_u64((struct ig_str){entry->d_name, 20}, &number))
            continue;
        if (!IG_VEC_PUSH(&numbers, number, SEGMENTS_MAX))
            code = ig_fail(err, IG_NO_MEMORY, "decisions: list of segments");
    }
    closedir(dir);
    if (code != IG_OK) {
        IG_VEC_FREE(&numbers);
        return code;
    }
    if (numbers.count) qsort(numbers.items, numbers.count, sizeof(uint64_t), compare_numbers);
    *out = numbers.items;
    *count = numbers.count;
    return IG_OK;
}

void ig_decision_replay(struct ig_decision_replay *replay, const unsigned char *bytes, size_t size)
{
    unsigned char header[IG_DECISION_HEADER_BYTES];
    size_t at = sizeof header;
    ig_decision_header(header);
    if (size < sizeof header || memcmp(bytes, header, sizeof header) != 0) {
        replay->torn++;
        return;
    }
    while (at < size) {
        struct ig_decision decision;
        uint32_t length, crc;
        if (size - at < IG_DECISION_FRAME_BYTES) break;
        memcpy(&length, bytes + at, 4);
        memcpy(&crc, bytes + at + 4, 4);
        const unsigned char *payload = bytes + at + IG_DECISION_FRAME_BYTES;
        if (length > size - at - IG_DECISION_FRAME_BYTES) break;
        if (ig_crc32(payload, length) != crc) break;
        if (!ig_decision_decode(&decision, payload, length)) break;
        at += IG_DECISION_FRAME_BYTES + length;
        if (replay->each(replay->context, &decision)) continue;
        replay->stopped = true;
        return;
    }
    if (at < size) replay->torn++;
}

enum ig_code ig_decision_log_read(int dirfd,
                                  bool (*each)(void *context, const struct ig_decision *decision),
                                  void *context, uint64_t *torn, struct ig_err *err)
{
    struct ig_decision_replay replay = {each, context, 0, false};
    char name[IG_DECISION_NAME_SIZE];
    uint64_t *numbers = NULL;
    size_t count = 0;
    struct ig_buf bytes;
    int fd = -1;
    ig_buf_init(&bytes, SEGMENT_MAX_BYTES);
    enum ig_code code = ig_dir_make(&fd, dirfd, "decisions", err);
    if (code == IG_OK) code = ig_decision_segments(&numbers, &count, fd, err);
    for (size_t i = 0; i < count && code == IG_OK && !replay.stopped; i++) {
        struct ig_err local = IG_ERR_INIT;
        ig_decision_name(name, numbers[i]);
        enum ig_code read = ig_file_read(&bytes, fd, name, &local);
        if (read == IG_OK)
            ig_decision_replay(&replay, (const unsigned char *)bytes.ptr, bytes.len);
        else if (read != IG_NOT_FOUND) /* the writer may have removed the oldest */
            code = ig_fail(err, read, "decisions/%s: %s", name, local.message);
    }
    ig_free(numbers);
    ig_file_close(&fd);
    ig_buf_deinit(&bytes);
    if (code == IG_OK && torn) *torn = replay.torn;
    return code;
}
