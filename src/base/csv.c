/* SPDX-License-Identifier: Apache-2.0 */
/* CSV by records (RFC 4180), plain or gzip (RFC 1952, concatenated members).
 *
 * A record is gathered as a whole in `text` (quotes tracked while looking for its end), then cut
 * into fields in place: unescaping only shortens. Both walk by memchr, so each byte is looked at a
 * constant number of times whatever the quotes. Invariants: 1. bytes [at, text.len) are not yet
 * consumed. 2. base + at is the byte position in the uncompressed input. */
#include "base/csv.h"

#include "base/mem.h"
#include "base/vec.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { INPUT_BYTES = 1 << 16, RECORD_MAX_DEFAULT = 16 << 20, FIELDS_MAX_DEFAULT = 100000 };
#define TOTAL_MAX_DEFAULT ((uint64_t)64 << 30)

struct ig_csv {
    ig_read_fn *read;
    void *context;
    int fd;
    struct ig_str bytes; /* source of ig_csv_open_bytes */
    struct ig_csv_options options;

    unsigned char *input; /* compressed bytes; INPUT_BYTES */
    bool probed, gzip, inflating, input_ended, ended, started;
    z_stream stream;

    struct ig_buf text;
    size_t at;
    uint64_t base; /* byte position of text[0] */
    uint64_t line, record_line;
    struct {
        struct ig_str *items;
        size_t count, cap;
    } fields;
};

static int64_t read_fd(void *context, void *bytes, size_t size, struct ig_err *err)
{
    const struct ig_csv *csv = context;
    ssize_t got;
    do got = read(csv->fd, bytes, size);
    while (got < 0 && errno == EINTR);
    if (got < 0) ig_fail(err, IG_IO, "CSV: cannot read: %s", strerror(errno));
    return got;
}

static int64_t read_bytes(void *context, void *bytes, size_t size, struct ig_err *err)
{
    (void)err;
    struct ig_csv *csv = context;
    size_t count = csv->bytes.len < size ? csv->bytes.len : size;
    if (count) memcpy(bytes, csv->bytes.ptr, count);
    csv->bytes.ptr += count;
    csv->bytes.len -= count;
    return (int64_t)count;
}

enum ig_code ig_csv_open(struct ig_csv **out, ig_read_fn *read, void *context,
                         const struct ig_csv_options *options, struct ig_err *err)
{
    struct ig_csv *csv = ig_zalloc(sizeof *csv);
    unsigned char *input = ig_alloc(INPUT_BYTES);
    if (!csv || !input) {
        ig_free(csv);
        ig_free(input);
        return ig_fail(err, IG_NO_MEMORY, "CSV: out of memory");
    }
    csv->read = read;
    csv->context = context;
    csv->input = input;
    csv->fd = -1;
    csv->line = 1;
    if (options) csv->options = *options;
    struct ig_csv_options *o = &csv->options;
    if (!o->record_max_bytes) o->record_max_bytes = RECORD_MAX_DEFAULT;
    if (!o->fields_max) o->fields_max = FIELDS_MAX_DEFAULT;
    if (!o->total_max_bytes) o->total_max_bytes = TOTAL_MAX_DEFAULT;
    ig_buf_init(&csv->text, o->record_max_bytes + INPUT_BYTES);
    *out = csv;
    return IG_OK;
}

enum ig_code ig_csv_open_fd(struct ig_csv **out, int fd, const struct ig_csv_options *options,
                            struct ig_err *err)
{
    struct ig_csv *csv;
    if (ig_csv_open(&csv, read_fd, NULL, options, err) != IG_OK) return err->code;
    csv->context = csv;
    csv->fd = fd;
    *out = csv;
    return IG_OK;
}

enum ig_code ig_csv_open_bytes(struct ig_csv **out, struct ig_str bytes,
                               const struct ig_csv_options *options, struct ig_err *err)
{
    struct ig_csv *csv;
    if (ig_csv_open(&csv, read_bytes, NULL, options, err) != IG_OK) return err->code;
    csv->context = csv;
    csv->bytes = bytes.ptr ? bytes : IG_STR("");
    *out = csv;
    return IG_OK;
}

void ig_csv_close(struct ig_csv *csv)
{
    if (!csv) return;
    if (csv->inflating) inflateEnd(&csv->stream);
    ig_buf_deinit(&csv->text);
    IG_VEC_FREE(&csv->fields);
    ig_free(csv->input);
    ig_free(csv);
}

static bool load_input(struct ig_csv *csv, struct ig_err *err)
{
    int64_t got = csv->read(csv->context, csv->input, INPUT_BYTES, err);
    if (got < 0) return false;
    if (got == 0) csv->input_ended = true;
    csv->stream.next_in = csv->input;
    csv->stream.avail_in = (uInt)got;
    return true;
}

/* The first two bytes tell gzip; a source may give them one by one. */
static bool probe(struct ig_csv *csv, struct ig_err *err)
{
    size_t have = 0;
    while (have < 2 && !csv->input_ended) {
        int64_t got = csv->read(csv->context, csv->input + have, INPUT_BYTES - have, err);
        if (got < 0) return false;
        if (got == 0) csv->input_ended = true;
        have += (size_t)got;
    }
    csv->probed = true;
    csv->stream.next_in = csv->input;
    csv->stream.avail_in = (uInt)have;
    csv->gzip = have >= 2 && csv->input[0] == 0x1f && csv->input[1] == 0x8b;
    return true;
}

static bool inflate_some(struct ig_csv *csv, struct ig_err *err)
{
    z_stream *stream = &csv->stream;
    if (!csv->inflating) {
        if (inflateInit2(stream, 15 + 16) != Z_OK) {
            ig_fail(err, IG_NO_MEMORY, "CSV: out of memory for gzip");
            return false;
        }
        csv->inflating = true;
    }
    stream->next_out = (unsigned char *)csv->text.ptr + csv->text.len;
    stream->avail_out = INPUT_BYTES;
    int status = inflate(stream, Z_NO_FLUSH);
    csv->text.len += INPUT_BYTES - stream->avail_out;
    if (status == Z_STREAM_END) {
        inflateEnd(stream);
        csv->inflating = false;
        return true;
    }
    if (status == Z_OK || status == Z_BUF_ERROR) return true;
    ig_fail(err, IG_PARSE, "CSV: gzip data are damaged after byte %llu of the text",
            (unsigned long long)(csv->base + csv->text.len));
    return false;
}

/* Brings more text, or sets ended. */
static bool fill(struct ig_csv *csv, struct ig_err *err)
{
    if (!csv->probed && !probe(csv, err)) return false;
    if (csv->at) {
        csv->text.len -= csv->at;
        memmove(csv->text.ptr, csv->text.ptr + csv->at, csv->text.len);
        csv->base += csv->at;
        csv->at = 0;
    }
    if (csv->text.len > csv->options.record_max_bytes) {
        ig_fail_at(err, IG_TOO_LARGE, csv->base, "CSV: the record at line %llu exceeds %zu bytes",
                   (unsigned long long)csv->record_line, csv->options.record_max_bytes);
        return false;
    }
    if (!ig_buf_reserve(&csv->text, INPUT_BYTES)) {
        csv->text.overflowed = false;
        ig_fail(err, IG_NO_MEMORY, "CSV: out of memory");
        return false;
    }
    if (!csv->stream.avail_in && !csv->input_ended && !load_input(csv, err)) return false;
    if (!csv->stream.avail_in) {
        if (csv->inflating) {
            ig_fail(err, IG_PARSE, "CSV: gzip data end too early");
            return false;
        }
        csv->ended = true;
    } else if (csv->gzip) {
        if (!inflate_some(csv, err)) return false;
    } else {
        ig_buf_add(&csv->text, csv->stream.next_in, csv->stream.avail_in);
        csv->stream.avail_in = 0;
    }
    if (csv->base + csv->text.len > csv->options.total_max_bytes) {
        ig_fail(err, IG_TOO_LARGE, "CSV: more than %llu bytes of text",
                (unsigned long long)csv->options.total_max_bytes);
        return false;
    }
    return true;
}

enum place { FIELD_START, PLAIN, QUOTED, QUOTE_CLOSED };

static bool is_separator(const struct ig_csv *csv, char c)
{
    if (csv->options.separator) return c == csv->options.separator;
    return c == ',' || c == '\t' || c == ';';
}

/* Offsets are relative to csv->at, so they outlive a fill. */
struct scan {
    size_t at;
    size_t line_end; /* the first LF at or behind `at`, or all there is; valid while line_known */
    bool line_known;
    enum place place;
    uint64_t breaks;
};

static uint64_t count_breaks(const char *p, const char *end)
{
    uint64_t count = 0;
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
        count++;
        p++;
    }
    return count;
}

static void scan_quoted(struct scan *scan, const char *text, size_t have)
{
    const char *quote = memchr(text + scan->at, '"', have - scan->at);
    size_t stop = quote ? (size_t)(quote - text) : have;
    scan->breaks += count_breaks(text + scan->at, text + stop);
    scan->at = quote ? stop + 1 : have;
    if (quote) scan->place = QUOTE_CLOSED;
}

/* Outside quotes, up to the next quote or the line's end: true when the record ends there. */
static bool scan_line(const struct ig_csv *csv, struct scan *scan, const char *text, size_t have)
{
    if (!scan->line_known || scan->line_end < scan->at) {
        const char *found = memchr(text + scan->at, '\n', have - scan->at);
        scan->line_end = found ? (size_t)(found - text) : have;
        scan->line_known = true;
    }
    const char *quote = memchr(text + scan->at, '"', scan->line_end - scan->at);
    size_t stop = quote ? (size_t)(quote - text) : scan->line_end;
    if (stop > scan->at) scan->place = is_separator(csv, text[stop - 1]) ? FIELD_START : PLAIN;
    scan->at = stop;
    if (quote) {
        scan->at++;
        if (scan->place != PLAIN) scan->place = QUOTED;
        return false;
    }
    if (stop == have) return false;
    scan->at++;
    scan->breaks++;
    return true;
}

/* Finds the end of the record that starts at csv->at: *size bytes without its line end, *next bytes
 * with it. False at the end of input or on error. */
static bool find_record(struct ig_csv *csv, size_t *size, size_t *next, struct ig_err *err)
{
    struct scan scan = {.place = FIELD_START};
    for (bool complete = false; !complete;) {
        const char *text = csv->text.ptr + csv->at;
        size_t have = csv->text.len - csv->at;
        while (!complete && scan.at < have) {
            if (scan.place == QUOTED)
                scan_quoted(&scan, text, have);
            else
                complete = scan_line(csv, &scan, text, have);
        }
        if (complete || csv->ended) break;
        if (!fill(csv, err)) return false;
        scan.line_known = false;
    }
    if (scan.place == QUOTED) {
        ig_fail_at(err, IG_PARSE, csv->base + csv->at,
                   "CSV: the record at line %llu (byte %llu) has a quote that never closes",
                   (unsigned long long)csv->record_line, (unsigned long long)(csv->base + csv->at));
        return false;
    }
    const char *text = csv->text.ptr + csv->at;
    csv->line += scan.breaks;
    *next = *size = scan.at;
    if (*size && text[*size - 1] == '\n') --*size;
    if (*size && text[*size - 1] == '\r') --*size;
    return *next > 0;
}

/* Skips a byte order mark before the first record. */
static bool start(struct ig_csv *csv, struct ig_err *err)
{
    while (csv->text.len < 3 && !csv->ended)
        if (!fill(csv, err)) return false;
    if (csv->text.len >= 3 && memcmp(csv->text.ptr, "\xEF\xBB\xBF", 3) == 0) csv->at = 3;
    csv->started = true;
    return true;
}

static char guess_separator(const char *text, size_t size)
{
    static const char candidates[] = ",\t;";
    size_t counts[3] = {0};
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"') quoted = !quoted;
        if (quoted) continue;
        for (int k = 0; k < 3; k++) counts[k] += text[i] == candidates[k];
    }
    int best = 0;
    for (int k = 1; k < 3; k++)
        if (counts[k] > counts[best]) best = k;
    return candidates[best];
}

/* A quoted field at *at (behind the opening quote): unescaped in place. */
static bool quoted_field(struct ig_csv *csv, char *text, size_t size, size_t *at,
                         struct ig_str *field, struct ig_err *err)
{
    size_t in = *at, out = *at, start = *at;
    for (;;) {
        const char *quote = memchr(text + in, '"', size - in);
        size_t run = quote ? (size_t)(quote - text) - in : size - in;
        if (out != in) memmove(text + out, text + in, run);
        out += run;
        in += run + 1; /* behind the quote, which find_record has seen */
        if (in >= size || text[in] != '"') break;
        text[out++] = '"';
        in++;
    }
    *field = (struct ig_str){text + start, out - start};
    *at = in;
    if (in >= size || text[in] == csv->options.separator) return true;
    ig_fail_at(err, IG_PARSE, csv->base + csv->at + in,
               "CSV: line %llu, field %zu: a separator was expected after the closing quote, at "
               "byte %llu",
               (unsigned long long)csv->record_line, csv->fields.count + 1,
               (unsigned long long)(csv->base + csv->at + in));
    return false;
}

/* The offset of the next separator, or `size`: by words, since most fields are short. */
static size_t find_separator(const char *text, size_t at, size_t size, char separator)
{
    const uint64_t ones = 0x0101010101010101u;
    for (; size - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, text + at, sizeof word);
        word ^= ones * (unsigned char)separator;
        uint64_t found = (word - ones) & ~word & ones * 0x80;
        if (found) return at + (size_t)__builtin_ctzll(found) / 8;
    }
    while (at < size && text[at] != separator) at++;
    return at;
}

static bool add_field(struct ig_csv *csv, struct ig_str field, size_t at, struct ig_err *err)
{
    if (csv->fields.count < csv->fields.cap) {
        csv->fields.items[csv->fields.count++] = field;
        return true;
    }
    if (IG_VEC_PUSH(&csv->fields, field, csv->options.fields_max)) return true;
    bool many = csv->fields.count >= csv->options.fields_max;
    ig_fail_at(err, many ? IG_TOO_LARGE : IG_NO_MEMORY, csv->base + csv->at + at,
               many ? "CSV: line %llu has more than %zu fields"
                    : "CSV: line %llu: out of memory after %zu fields",
               (unsigned long long)csv->record_line, csv->fields.count);
    return false;
}

static bool cut_fields(struct ig_csv *csv, char *text, size_t size, struct ig_err *err)
{
    csv->fields.count = 0;
    for (size_t at = 0;; at++) {
        struct ig_str field;
        size_t begin = at;
        if (at < size && text[at] == '"') {
            at++;
            if (!quoted_field(csv, text, size, &at, &field, err)) return false;
        } else {
            at = find_separator(text, at, size, csv->options.separator);
            field = (struct ig_str){text + begin, at - begin};
        }
        if (!add_field(csv, field, begin, err)) return false;
        if (at >= size) return true;
    }
}

bool ig_csv_next(struct ig_csv *csv, const struct ig_str **fields, size_t *count,
                 struct ig_err *err)
{
    if (err->code != IG_OK) return false;
    size_t size, next;
    if (!csv->started && !start(csv, err)) return false;
    do {
        csv->record_line = csv->line;
        if (!find_record(csv, &size, &next, err)) return false;
        csv->at += next;
    } while (size == 0);
    if (size > csv->options.record_max_bytes) {
        ig_fail_at(err, IG_TOO_LARGE, csv->base + csv->at - next,
                   "CSV: the record at line %llu exceeds %zu bytes",
                   (unsigned long long)csv->record_line, csv->options.record_max_bytes);
        return false;
    }
    char *text = csv->text.ptr + csv->at - next;
    if (!csv->options.separator) csv->options.separator = guess_separator(text, size);
    csv->at -= next;
    bool cut = cut_fields(csv, text, size, err);
    csv->at += next;
    if (!cut) return false;
    *fields = csv->fields.items;
    *count = csv->fields.count;
    return true;
}

uint64_t ig_csv_line(const struct ig_csv *csv)
{
    return csv->record_line;
}

char ig_csv_separator(const struct ig_csv *csv)
{
    return csv->options.separator;
}
