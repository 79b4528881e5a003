/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.x heads: the search for their end, request and response parsing.
 *
 * Strict on purpose: every form that two parsers in a chain may read differently (RFC 9112 section
 * 11.2) is refused, never repaired. Owns nothing, allocates nothing; results are slices of the
 * caller's bytes.
 *
 * Invariants: 1. a head that ig_http1_scan accepted ends in CRLF CRLF and has no LF without a CR
 * before it. 2. every other control byte, a lone CR too, is refused by the parser of the field that
 * holds it. 3. Whether a head is accepted does not depend on how its bytes arrived.
 * Follows RFC 9110 and RFC 9112. Thread rule: pure functions. */
#include "net/http1.h"

#include <string.h>

enum { TOKEN = 1, PATH = 2, QUERY = 4, HOST = 8, METHOD_MAX = 32, VERSION_LENGTH = 8 };

#define T (TOKEN)
#define P (PATH | QUERY)
#define H (HOST | PATH | QUERY)
#define A (TOKEN | PATH | QUERY | HOST)
/* clang-format off */
/* Queries may also hold [ ] { } | ^ ` which browsers send unescaped; paths may not. */
static const unsigned char CLASS[256] = {
    ['!'] = A, ['#'] = T, ['$'] = A, ['%'] = A, ['&'] = A, ['\''] = A, ['*'] = A, ['+'] = A,
    ['-'] = A, ['.'] = A, ['^'] = T | QUERY, ['_'] = A, ['`'] = T | QUERY, ['|'] = T | QUERY,
    ['~'] = A, ['('] = H, [')'] = H, [','] = H, [';'] = H, ['='] = H, [':'] = P, ['@'] = P,
    ['/'] = P, ['?'] = QUERY, ['['] = QUERY, [']'] = QUERY, ['{'] = QUERY, ['}'] = QUERY,
    ['0'] = A, A, A, A, A, A, A, A, A, A,
    ['A'] = A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,
    ['a'] = A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,
};
/* clang-format on */
#undef T
#undef P
#undef H
#undef A

static bool all_of(struct ig_str text, unsigned char class)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!(CLASS[(unsigned char)text.ptr[i]] & class)) return false;
    }
    return true;
}

bool ig_http_token_valid(struct ig_str text)
{
    return text.len > 0 && all_of(text, TOKEN);
}

/* Eight bytes at a time: a byte below 0x20 borrows into its top bit; 0x7f is found by xor. Both
 * tests may only err towards the byte-wise check. */
static bool word_clean(const char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t low = word - ones * 0x20;
    uint64_t del = (word ^ (ones * 0x7f)) - ones;
    return !((low | del | word) & tops);
}

bool ig_http_field_value_valid(struct ig_str text)
{
    size_t i = 0;
    while (i < text.len) {
        if (text.len - i >= 8 && word_clean(text.ptr + i)) {
            i += 8;
            continue;
        }
        unsigned char c = (unsigned char)text.ptr[i++];
        if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
    }
    return true;
}

int64_t ig_http1_scan(struct ig_http1_scan *scan, const char *bytes, size_t len,
                      const struct ig_http1_limits *limits)
{
    size_t line_max = limits->target_max_bytes + METHOD_MAX + VERSION_LENGTH + 4;
    size_t end = len < limits->head_max_bytes ? len : limits->head_max_bytes;
    if (len && !(CLASS[(unsigned char)bytes[0]] & TOKEN)) return -400;
    while (scan->at < end) {
        const char *lf = memchr(bytes + scan->at, '\n', end - scan->at);
        size_t line_end = lf ? (size_t)(lf - bytes) : end;
        if (!scan->first_line_seen && line_end > line_max) return -414;
        scan->at = line_end;
        if (!lf) break;
        if (line_end == scan->line_at || bytes[line_end - 1] != '\r') return -400;
        scan->first_line_seen = true;
        scan->at = line_end + 1;
        if (line_end == scan->line_at + 1) return (int64_t)scan->at;
        scan->line_at = scan->at;
    }
    return len >= limits->head_max_bytes ? -431 : 0;
}

/* Takes the line at *at, without its CRLF; ptr NULL for the empty line that ends a head. */
static struct ig_str next_line(struct ig_str bytes, size_t *at)
{
    const char *start = bytes.ptr + *at;
    const char *lf = memchr(start, '\n', bytes.len - *at);
    if (!lf || lf - start < 2) return (struct ig_str){0};
    *at = (size_t)(lf + 1 - bytes.ptr);
    return (struct ig_str){start, (size_t)(lf - 1 - start)};
}

static struct ig_str trim_blanks(struct ig_str text)
{
    while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) text.ptr++, text.len--;
    while (text.len && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* "HTTP/1.0" or "HTTP/1.1"; -1 when it is no version, 505 when another one. */
static int parse_version(struct ig_str text, int *minor)
{
    bool shaped = text.len == VERSION_LENGTH && memcmp(text.ptr, "HTTP/", 5) == 0 &&
                  text.ptr[5] >= '0' && text.ptr[5] <= '9' && text.ptr[6] == '.' &&
                  text.ptr[7] >= '0' && text.ptr[7] <= '9';
    if (!shaped) return -1;
    if (text.ptr[5] != '1' || text.ptr[7] > '1') return 505;
    *minor = text.ptr[7] - '0';
    return 0;
}

/* One "name: value" line. */
static const char *parse_field(struct ig_http_header *header, struct ig_str line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t') return "a header line is folded";
    if (!colon) return "a header line has no colon";
    header->name = (struct ig_str){line.ptr, (size_t)(colon - line.ptr)};
    if (!ig_http_token_valid(header->name)) return "a header name is not a token";
    struct ig_str value = {colon + 1, line.len - header->name.len - 1};
    if (!ig_http_field_value_valid(value)) return "a header value holds a control byte";
    header->value = trim_blanks(value);
    return NULL;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool escapes_valid(struct ig_str text)
{
    if (!text.len || !memchr(text.ptr, '%', text.len)) return true;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '%') continue;
        if (text.len - i < 3 || !is_hex(text.ptr[i + 1]) || !is_hex(text.ptr[i + 2])) return false;
        if (text.ptr[i + 1] == '0' && text.ptr[i + 2] == '0') return false;
        i += 2;
    }
    return true;
}

/* host[:port], [v6][:port], or empty. */
static bool authority_valid(struct ig_str text)
{
    size_t at = 0;
    if (text.len && text.ptr[0] == '[') {
        for (at = 1;
             at < text.len && (is_hex(text.ptr[at]) || text.ptr[at] == ':' || text.ptr[at] == '.');
             at++) {
        }
        if (at < 3 || at == text.len || text.ptr[at++] != ']') return false;
    } else {
        while (at < text.len && text.ptr[at] != ':') at++;
        struct ig_str name = {text.ptr, at};
        if (!all_of(name, HOST) || !escapes_valid(name) || (at == 0 && text.len)) return false;
    }
    if (at == text.len) return true;
    if (text.ptr[at] != ':' || text.len - at > 6) return false;
    for (at++; at < text.len; at++) {
        if (text.ptr[at] < '0' || text.ptr[at] > '9') return false;
    }
    return true;
}

/* Splits the target of any of the three forms; `host` is set for the absolute one. */
static const char *parse_target(struct ig_http_request *request)
{
    struct ig_str rest = request->target;
    request->host = (struct ig_str){0};
    if (ig_str_is(rest, "*")) {
        request->path = rest;
        return ig_str_is(request->method, "OPTIONS") ? NULL : "target * is for OPTIONS alone";
    }
    if (rest.len && rest.ptr[0] != '/') {
        size_t scheme = 0;
        if (rest.len > 7 && ig_str_eq_nocase((struct ig_str){rest.ptr, 7}, IG_STR("http://")))
            scheme = 7;
        if (rest.len > 8 && ig_str_eq_nocase((struct ig_str){rest.ptr, 8}, IG_STR("https://")))
            scheme = 8;
        if (!scheme) return "the target is neither a path nor an absolute URI";
        rest = (struct ig_str){rest.ptr + scheme, rest.len - scheme};
        size_t end = 0;
        while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?') end++;
        request->host = (struct ig_str){rest.ptr, end};
        if (!end || !authority_valid(request->host)) return "the target's authority is invalid";
        rest = (struct ig_str){rest.ptr + end, rest.len - end};
    }
    const char *mark = rest.len ? memchr(rest.ptr, '?', rest.len) : NULL;
    request->path = mark ? (struct ig_str){rest.ptr, (size_t)(mark - rest.ptr)} : rest;
    if (mark) request->query = (struct ig_str){mark + 1, rest.len - request->path.len - 1};
    if (!request->path.len) request->path = IG_STR("/");
    if (!all_of(request->path, PATH) || !all_of(request->query, QUERY))
        return "the target holds a character that must be escaped";
    return escapes_valid(rest) ? NULL : "the target holds an invalid percent escape";
}

static const char BAD_METHOD[] = "the method is not a token of at most 32 characters";

static int check_target(struct ig_http_request *request, const struct ig_http1_limits *limits,
                        const char **reason)
{
    if (request->target.len > limits->target_max_bytes) {
        *reason = "the target is too long";
        return 414;
    }
    *reason = parse_target(request);
    return *reason ? 400 : 0;
}

static int parse_request_line(struct ig_http_request *request, struct ig_str line,
                              const struct ig_http1_limits *limits, const char **reason)
{
    *reason = "the request line is not METHOD SP TARGET SP VERSION";
    const char *space = memchr(line.ptr, ' ', line.len);
    if (!space) return 400;
    request->method = (struct ig_str){line.ptr, (size_t)(space - line.ptr)};
    if (request->method.len > METHOD_MAX || !ig_http_token_valid(request->method)) {
        *reason = BAD_METHOD;
        return 400;
    }
    struct ig_str rest = {space + 1, line.len - request->method.len - 1};
    space = memchr(rest.ptr, ' ', rest.len);
    if (!space || space == rest.ptr) return 400;
    request->target = (struct ig_str){rest.ptr, (size_t)(space - rest.ptr)};
    struct ig_str version = {space + 1, rest.len - request->target.len - 1};
    int bad = parse_version(version, &request->minor_version);
    if (bad < 0) return 400;
    if (bad) {
        *reason = "only HTTP/1.0 and HTTP/1.1 are spoken";
        return bad;
    }
    return check_target(request, limits, reason);
}

int ig_http_request_check(struct ig_http_request *request, const struct ig_http1_limits *limits,
                          const char **reason)
{
    struct ig_str host = request->host, target = request->target;
    *reason = BAD_METHOD;
    if (request->method.len > METHOD_MAX || !ig_http_token_valid(request->method)) return 400;
    *reason = "the target is not a path";
    if (!target.len || (target.ptr[0] != '/' && target.ptr[0] != '*')) return 400;
    int status = check_target(request, limits, reason);
    request->host = host;
    if (status) return status;
    *reason = authority_valid(host) ? NULL : "the authority is not host[:port]";
    return *reason ? 400 : 0;
}

/* What a head says about its body and connection; shared by both directions. */
struct framing {
    struct ig_str host;
    uint64_t content_length;
    unsigned lengths, codings, hosts;
    bool chunked, close, keep, expect_continue, expect_other;
};

static const char *take_length(struct framing *framing, struct ig_str value)
{
    if (framing->lengths++) return "Content-Length is given twice";
    if (!ig_str_to_u64(value, &framing->content_length) || framing->content_length > INT64_MAX)
        return "Content-Length is not a number";
    return NULL;
}

static void take_connection(struct framing *framing, struct ig_str value)
{
    while (value.ptr) {
        struct ig_str option = trim_blanks(ig_str_cut(&value, ','));
        if (ig_str_eq_nocase(option, IG_STR("close"))) framing->close = true;
        if (ig_str_eq_nocase(option, IG_STR("keep-alive"))) framing->keep = true;
    }
}

static const char *take_field(struct framing *framing, const struct ig_http_header *header)
{
    struct ig_str name = header->name, value = header->value;
    switch (name.len) {
    case 4:
        if (!ig_str_eq_nocase(name, IG_STR("host"))) break;
        framing->host = value;
        if (framing->hosts++) return "Host is given twice";
        return authority_valid(value) ? NULL : "Host is not host[:port]";
    case 6:
        if (!ig_str_eq_nocase(name, IG_STR("expect"))) break;
        if (ig_str_eq_nocase(value, IG_STR("100-continue")))
            framing->expect_continue = true;
        else
            framing->expect_other = true;
        break;
    case 10:
        if (ig_str_eq_nocase(name, IG_STR("connection"))) take_connection(framing, value);
        break;
    case 14:
        if (ig_str_eq_nocase(name, IG_STR("content-length"))) return take_length(framing, value);
        break;
    case 17:
        if (!ig_str_eq_nocase(name, IG_STR("transfer-encoding"))) break;
        if (framing->codings++) return "Transfer-Encoding is given twice";
        framing->chunked = true;
        if (!ig_str_eq_nocase(value, IG_STR("chunked")))
            return "Transfer-Encoding is not exactly chunked";
        break;
    default:
        break;
    }
    return NULL;
}

/* Reads the header lines from *at on. 0, or a status. */
static int parse_fields(struct framing *framing, struct ig_http_header *headers, size_t *count,
                        struct ig_str bytes, const char **reason)
{
    size_t at = 0, room = *count;
    *count = 0;
    for (struct ig_str line; (line = next_line(bytes, &at)).ptr;) {
        if (*count == room) {
            *reason = "too many headers";
            return 431;
        }
        struct ig_http_header *header = &headers[*count];
        *reason = parse_field(header, line);
        if (!*reason) *reason = take_field(framing, header);
        if (*reason) return 400;
        ++*count;
    }
    *reason = "Content-Length and Transfer-Encoding together";
    return framing->lengths && framing->codings ? 400 : 0;
}

/* Host, version and Expect rules of a request. */
static int check_request(struct ig_http_request *request, const struct framing *framing,
                         const char **reason)
{
    *reason = "Host is missing";
    if (!framing->hosts && request->minor_version == 1) return 400;
    *reason = "Host differs from the target's authority";
    if (!request->host.ptr)
        request->host = framing->host;
    else if (framing->hosts && !ig_str_eq_nocase(request->host, framing->host))
        return 400;
    *reason = "Transfer-Encoding in an HTTP/1.0 request";
    if (framing->codings && request->minor_version == 0) return 400;
    *reason = "only Expect: 100-continue is known";
    if (framing->expect_other) return 417;
    *reason = NULL;
    return 0;
}

int ig_http1_request(struct ig_http_request *request, struct ig_http_header *headers,
                     struct ig_str bytes, const struct ig_http1_limits *limits, const char **reason)
{
    struct ig_http_request parsed = {.peer = request->peer, .is_loopback = request->is_loopback};
    struct framing framing = {0};
    size_t at = 0, count = limits->headers_max;
    struct ig_str line = next_line(bytes, &at);
    *reason = "the request line is empty";
    if (!line.ptr) return 400;
    int status = parse_request_line(&parsed, line, limits, reason);
    if (status) return status;
    struct ig_str rest = {bytes.ptr + at, bytes.len - at};
    status = parse_fields(&framing, headers, &count, rest, reason);
    if (!status) status = check_request(&parsed, &framing, reason);
    if (status) return status;
    parsed.headers = headers;
    parsed.headers_count = count;
    parsed.content_length = framing.content_length;
    parsed.has_content_length = framing.lengths > 0;
    parsed.chunked = framing.chunked;
    parsed.keep_alive = !framing.close && (parsed.minor_version == 1 || framing.keep);
    parsed.expect_continue = framing.expect_continue && parsed.minor_version == 1;
    *request = parsed;
    return 0;
}

int ig_http1_response(struct ig_http1_response *response, struct ig_http_header *headers,
                      struct ig_str bytes, size_t headers_max, const char **reason)
{
    struct ig_http1_response parsed = {0};
    struct framing framing = {0};
    size_t at = 0, count = headers_max;
    struct ig_str line = next_line(bytes, &at);
    struct ig_str version = {line.ptr, VERSION_LENGTH};
    uint64_t status;
    *reason = "the status line is not HTTP/1.x and a status";
    if (line.len < VERSION_LENGTH + 4 || line.ptr[VERSION_LENGTH] != ' ' ||
        parse_version(version, &parsed.minor_version) ||
        !ig_str_to_u64((struct ig_str){line.ptr + VERSION_LENGTH + 1, 3}, &status) ||
        status < 100 || status > 599)
        return -1;
    struct ig_str rest = {bytes.ptr + at, bytes.len - at};
    if (parse_fields(&framing, headers, &count, rest, reason)) return -1;
    *reason = NULL;
    parsed.status = (int)status;
    parsed.headers = headers;
    parsed.headers_count = count;
    parsed.content_length = framing.content_length;
    parsed.has_content_length = framing.lengths > 0;
    parsed.chunked = framing.chunked;
    parsed.keep_alive = !framing.close && (parsed.minor_version == 1 || framing.keep);
    *response = parsed;
    return 0;
}

struct ig_str ig_http_header(const struct ig_http_request *request, struct ig_str name)
{
    for (size_t i = 0; i < request->headers_count; i++) {
        struct ig_str own = request->headers[i].name;
        if (own.len == name.len && ig_str_eq_nocase(own, name)) return request->headers[i].value;
    }
    return (struct ig_str){0};
}
