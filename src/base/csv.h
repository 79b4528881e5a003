/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_CSV_H
#define IG_BASE_CSV_H

/* CSV (RFC 4180), one record at a time from any byte source, plain or gzip (found by its magic).
 *
 * The separator (comma, tab or semicolon) is found from the first record outside quotes unless
 * given. LF, CRLF and a missing last line end are accepted; a UTF-8 byte order mark is skipped.
 * Fields may be quoted, with "" for a quote and line breaks inside. Errors carry the line number in
 * the message and the byte position of the uncompressed text. Blank lines are skipped. Thread rule:
 * one thread. */

#include "base/err.h"
#include "base/str.h"

/* Reads up to `size` bytes: > 0 bytes read, 0 at the end, -1 with err set. */
typedef int64_t ig_read_fn(void *context, void *bytes, size_t size, struct ig_err *err);

struct ig_csv;

struct ig_csv_options {
    char separator;           /* 0: find it */
    size_t record_max_bytes;  /* 0: 16 MiB */
    size_t fields_max;        /* 0: 100,000 */
    uint64_t total_max_bytes; /* uncompressed bytes; 0: 64 GiB */
};

enum ig_code ig_csv_open(struct ig_csv **out, ig_read_fn *read, void *context,
                         const struct ig_csv_options *options, struct ig_err *err);
/* The caller keeps `fd` open until ig_csv_close. */
enum ig_code ig_csv_open_fd(struct ig_csv **out, int fd, const struct ig_csv_options *options,
                            struct ig_err *err);
enum ig_code ig_csv_open_bytes(struct ig_csv **out, struct ig_str bytes,
                               const struct ig_csv_options *options, struct ig_err *err);
void ig_csv_close(struct ig_csv *csv);

/* True with *fields (borrowed until the next call) and *count; false at the end or on error (err
 * set). */
bool ig_csv_next(struct ig_csv *csv, const struct ig_str **fields, size_t *count,
                 struct ig_err *err);
uint64_t ig_csv_line(const struct ig_csv *csv);  /* 1-based line where the last record began */
char ig_csv_separator(const struct ig_csv *csv); /* the one in use, after the first record */

#endif
