/* SPDX-License-Identifier: Apache-2.0 */
/* Every request head that parsers are known to disagree on, with the one status it must get; the
 * forms that must pass, with the fields they must give; and the chunked decoder byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/http1.h"

#include <stdio.h>
#include <string.h>

enum { HEADERS_MAX = 8 };

static const struct ig_http1_limits LIMITS = {
    .head_max_bytes = 512, .target_max_bytes = 128, .headers_max = HEADERS_MAX};

struct parsed {
    int status; /* 0: accepted, -1: more bytes are needed */
    const char *reason;
    struct ig_http_request request;
    struct ig_http_header headers[HEADERS_MAX];
};

static void parse(struct parsed *parsed, struct ig_str bytes, size_t step)
{
    struct ig_http1_scan scan = {0};
    int64_t head = 0;
    memset(parsed, 0, sizeof *parsed);
    for (size_t shown = step < bytes.len ? step : bytes.len; head == 0;) {
        head = ig_http1_scan(&scan, bytes.ptr, shown, &LIMITS);
        if (shown == bytes.len) break;
        shown = shown + step < bytes.len ? shown + step : bytes.len;
    }
    parsed->status = head > 0 ? 0 : head < 0 ? (int)-head : -1;
    if (head <= 0) return;
    struct ig_str whole = {bytes.ptr, (size_t)head};
    parsed->status =
        ig_http1_request(&parsed->request, parsed->headers, whole, &LIMITS, &parsed->reason);
}

struct form {
    int status;
    const char *what;
    struct ig_str bytes;
};

#define FORM(status, what, text)                                                                   \
    {                                                                                              \
        status, what,                                                                              \
        {                                                                                          \
            "" text, sizeof(text) - 1                                                              \
        }                                                                                          \
    }
#define HEAD "POST / HTTP/1.1\r\nHost: a\r\n"

static const struct form FORMS[] = {
    /* Framing. */
    FORM(0, "Content-Length", HEAD "Content-Length: 5\r\n\r\n"),
    FORM(0, "leading zeros are digits", HEAD "Content-Length: 0005\r\n\r\n"),
    FORM(0, "chunked", HEAD "Transfer-Encoding: chunked\r\n\r\n"),
    FORM(0, "chunked in capitals", HEAD "transfer-encoding: Chunked\r\n\r\n"),
    FORM(0, "neither", HEAD "\r\n"),
    FORM(400, "CL.TE", HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    FORM(400, "TE.CL", HEAD "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
    FORM(400, "two lengths", HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
    FORM(400, "two equal lengths", HEAD "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
    FORM(400, "length list", HEAD "Content-Length: 5, 5\r\n\r\n"),
    FORM(400, "length with plus", HEAD "Content-Length: +5\r\n\r\n"),
    FORM(400, "length with minus", HEAD "Content-Length: -5\r\n\r\n"),
    FORM(400, "length in hex", HEAD "Content-Length: 0x5\r\n\r\n"),
    FORM(400, "length with space", HEAD "Content-Length: 5 5\r\n\r\n"),
    FORM(400, "length with point", HEAD "Content-Length: 5.0\r\n\r\n"),
    FORM(400, "length empty", HEAD "Content-Length: \r\n\r\n"),
    FORM(400, "length overflow", HEAD "Content-Length: 18446744073709551621\r\n\r\n"),
    FORM(400, "length over int64", HEAD "Content-Length: 9223372036854775808\r\n\r\n"),
    FORM(400, "length with VT", HEAD "Content-Length: 5\v\r\n\r\n"),
    FORM(400, "xchunked", HEAD "Transfer-Encoding: xchunked\r\n\r\n"),
    FORM(400, "chunked, identity", HEAD "Transfer-Encoding: chunked, identity\r\n\r\n"),
    FORM(400, "identity", HEAD "Transfer-Encoding: identity\r\n\r\n"),
    FORM(400, "gzip, chunked", HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n"),
    FORM(400, "chunked twice in one", HEAD "Transfer-Encoding: chunked, chunked\r\n\r\n"),
    FORM(400, "two codings",
         HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    FORM(400, "coding and another",
         HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n"),
    FORM(400, "coding with VT", HEAD "Transfer-Encoding: \vchunked\r\n\r\n"),
    FORM(400, "coding with FF", HEAD "Transfer-Encoding: chunked\f\r\n\r\n"),
    FORM(400, "coding in quotes", HEAD "Transfer-Encoding: \"chunked\"\r\n\r\n"),
    FORM(400, "coding with parameter", HEAD "Transfer-Encoding: chunked;a=b\r\n\r\n"),
    FORM(400, "coding empty", HEAD "Transfer-Encoding:\r\n\r\n"),
    FORM(0, "coding after a tab", HEAD "Transfer-Encoding:\tchunked\r\n\r\n"),
    FORM(400, "coding in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    FORM(400, "space before colon", HEAD "Transfer-Encoding : chunked\r\n\r\n"),
    FORM(400, "tab before colon", HEAD "Content-Length\t: 5\r\n\r\n"),
    FORM(400, "folded line", HEAD "X: a\r\n b\r\n\r\n"),
    FORM(400, "folded coding", HEAD "Transfer-Encoding:\r\n chunked\r\n\r\n"),
    FORM(400, "folded with tab", HEAD "X: a\r\n\tb\r\n\r\n"),
    FORM(400, "first header folded", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    /* Line ends and control bytes. */
    FORM(400, "bare LF", "GET / HTTP/1.1\nHost: a\n\n"),
    FORM(400, "bare LF behind a header", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
    FORM(400, "bare LF ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\n"),
    FORM(400, "bare CR in a value", HEAD "X: a\rContent-Length: 5\r\n\r\n"),
    FORM(400, "CR CR LF", HEAD "X: a\r\r\n\r\n"),
    FORM(400, "bare CR in the request line", "GET /\rHTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "NUL in a value", HEAD "X: a\0b\r\n\r\n"),
    FORM(400, "NUL in a name", HEAD "X\0Y: a\r\n\r\n"),
    FORM(400, "control byte in a long value", HEAD "X: abcdefghijklmno\001pqrstuvwxyz\r\n\r\n"),
    FORM(400, "DEL in a value", HEAD "X: abcdefgh\177\r\n\r\n"),
    FORM(0, "tab in a value", HEAD "X: a\tb\r\n\r\n"),
    FORM(0, "bytes above 127 in a value", HEAD "X: \xc3\xa9\xff\r\n\r\n"),
    FORM(400, "empty name", HEAD ": a\r\n\r\n"),
    FORM(400, "no colon", HEAD "X\r\n\r\n"),
    FORM(400, "name with parenthesis", HEAD "X(: a\r\n\r\n"),
    FORM(400, "name with byte above 127", HEAD "\xc3\xa9: a\r\n\r\n"),
    /* Request line. */
    FORM(400, "method with a slash", "GE/T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "method with a colon", "GET: / HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "method of 33 characters",
         "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "no method", " / HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "TLS", "\x16\x03\x01\x02\r\n\r\n"),
    FORM(400, "two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "tab for a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "space behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    FORM(400, "no version", "GET /\r\nHost: a\r\n\r\n"),
    FORM(400, "version in small letters", "GET / http/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "version of three digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    FORM(505, "HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\n"),
    FORM(505, "HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    FORM(505, "HTTP/0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
    FORM(0, "HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n"),
    FORM(0, "own method", "PURGE / HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "control byte in the target", "GET /\001 HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "byte above 127 in the target", "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "fragment in the query", "GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "backslash", "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "quote", "GET /\" HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "cut escape", "GET /%a HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "bad escape", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "bad escape in the query", "GET /?a=%g0 HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "escaped NUL", "GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(0, "escapes", "GET /a%2Fb?c=%20d HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(0, "brackets in the query", "GET /?a[]={1}|2 HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "relative target", "GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "authority form", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
    FORM(400, "asterisk with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(0, "asterisk with OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(0, "absolute form", "GET http://a:80/x?y HTTP/1.1\r\nHost: a:80\r\n\r\n"),
    FORM(0, "absolute form, host in capitals", "GET HTTP://A/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "absolute form, other host", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "absolute form without Host", "GET http://a/ HTTP/1.1\r\n\r\n"),
    FORM(400, "absolute form with user", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "absolute form without authority", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"),
    FORM(400, "other scheme", "GET file:///etc HTTP/1.1\r\nHost: a\r\n\r\n"),
    /* Host. */
    FORM(400, "no Host", "GET / HTTP/1.1\r\n\r\n"),
    FORM(400, "two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    FORM(400, "two Hosts in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n"),
    FORM(400, "Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    FORM(400, "Host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    FORM(400, "Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    FORM(400, "Host with two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n"),
    FORM(400, "Host with a bad port", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n"),
    FORM(400, "Host with a long port", "GET / HTTP/1.1\r\nHost: a:808080\r\n\r\n"),
    FORM(400, "Host that is a port", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n"),
    FORM(400, "Host with an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
    FORM(400, "Host with text behind a bracket", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n"),
    FORM(400, "Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    FORM(0, "Host IPv6", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),
    FORM(0, "Host empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    /* Expect and caps. */
    FORM(0, "Expect", HEAD "Expect: 100-Continue\r\n\r\n"),
    FORM(417, "another Expect", HEAD "Expect: 200-ok\r\n\r\n"),
    FORM(431, "nine headers",
         "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n"
         "E: 1\r\nF: 1\r\nG: 1\r\nH: 1\r\n\r\n"),
    FORM(0, "eight headers",
         "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n"
         "E: 1\r\nF: 1\r\nG: 1\r\n\r\n"),
    FORM(-1, "unfinished", "GET / HTTP/1.1\r\nHost: a\r\n"),
};

static void test_forms(void **state)
{
    (void)state;
    struct parsed parsed;
    for (size_t i = 0; i < sizeof FORMS / sizeof FORMS[0]; i++) {
        const struct form *form = &FORMS[i];
        for (size_t step = 1; step <= form->bytes.len; step += step < 4 ? 1 : 17) {
            parse(&parsed, form->bytes, step);
            if (parsed.status != form->status)
                fail_msg("%s (step %zu): status %d, expected %d: %s", form->what, step,
                         parsed.status, form->status, parsed.reason ? parsed.reason : "");
            if (parsed.status > 0 && parsed.reason) assert_true(strlen(parsed.reason) > 8);
        }
    }
}

static void assert_str(struct ig_str got, const char *expected)
{
    if (!ig_str_is(got, expected)) fail_msg("'%.*s', expected '%s'", IG_STR_ARGS(got), expected);
}

static void test_fields(void **state)
{
    (void)state;
    struct parsed parsed;
    parse(&parsed,
          IG_STR("POST http://Example:81/a%20b?x=1&y HTTP/1.1\r\nHost: example:81\r\n"
                 "X-One:  padded \t\r\nContent-Length: 42\r\nConnection: x, Close\r\n"
                 "Expect: 100-continue\r\n\r\nbody"),
          1000);
    assert_int_equal(parsed.status, 0);
    const struct ig_http_request *request = &parsed.request;
    assert_str(request->method, "POST");
    assert_str(request->target, "http://Example:81/a%20b?x=1&y");
    assert_str(request->path, "/a%20b");
    assert_str(request->query, "x=1&y");
    assert_str(request->host, "Example:81");
    assert_str(ig_http_header(request, IG_STR("x-ONE")), "padded");
    assert_null(ig_http_header(request, IG_STR("x-two")).ptr);
    assert_int_equal(request->headers_count, 5);
    assert_int_equal(request->content_length, 42);
    assert_true(request->has_content_length && request->expect_continue);
    assert_false(request->chunked || request->keep_alive);

    parse(&parsed, IG_STR("GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n"), 1000);
    assert_str(parsed.request.path, "/");
    assert_str(parsed.request.query, "q");
    assert_true(parsed.request.keep_alive);
    parse(&parsed, IG_STR("GET /? HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), 1000);
    assert_true(parsed.request.keep_alive);
    assert_non_null(parsed.request.query.ptr);
    parse(&parsed, IG_STR("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), 1000);
    assert_false(parsed.request.keep_alive || parsed.request.expect_continue);
    assert_null(parsed.request.query.ptr);
}

static void test_caps(void **state)
{
    (void)state;
    char bytes[2048];
    struct parsed parsed;
    /* Exactly the longest target, and one more. */
    for (int over = 0; over <= 1; over++) {
        int length =
            snprintf(bytes, sizeof bytes, "GET /%0*d HTTP/1.1\r\nHost: a\r\n\r\n", 127 + over, 0);
        for (size_t step = 1; step < 500; step += 99) {
            parse(&parsed, (struct ig_str){bytes, (size_t)length}, step);
            assert_int_equal(parsed.status, over ? 414 : 0);
        }
    }
    /* A target without an end is refused before the head's cap. */
    memset(bytes, 'a', sizeof bytes);
    memcpy(bytes, "GET /", 5);
    parse(&parsed, (struct ig_str){bytes, 200}, 1);
    assert_int_equal(parsed.status, 414);
    /* A head of exactly the cap, and one byte more. */
    for (int over = 0; over <= 1; over++) {
        int length = snprintf(bytes, sizeof bytes, "GET / HTTP/1.1\r\nHost: a\r\nX: %0*d\r\n\r\n",
                              512 - 32 + over, 0);
        assert_int_equal(length, 512 + over);
        for (size_t step = 1; step < 1000; step += 111) {
            parse(&parsed, (struct ig_str){bytes, (size_t)length}, step);
            assert_int_equal(parsed.status, over ? 431 : 0);
        }
    }
}

struct decoded {
    char data[256];
    size_t length, used;
    enum ig_http1_chunk end;
};

static void decode(struct decoded *decoded, struct ig_str input, size_t step)
{
    struct ig_http1_chunked chunked = {0};
    *decoded = (struct decoded){.end = IG_HTTP1_CHUNK_MORE};
    while (decoded->used < input.len) {
        size_t size = input.len - decoded->used < step ? input.len - decoded->used : step, used;
        struct ig_str data;
        decoded->end = ig_http1_chunked(&chunked, (struct ig_str){input.ptr + decoded->used, size},
                                        &used, &data);
        assert_true(used <= size);
        decoded->used += used;
        if (decoded->end == IG_HTTP1_CHUNK_END || decoded->end == IG_HTTP1_CHUNK_BAD) return;
        if (decoded->end != IG_HTTP1_CHUNK_DATA) continue;
        assert_true(data.len > 0 && decoded->length + data.len <= sizeof decoded->data);
        memcpy(decoded->data + decoded->length, data.ptr, data.len);
        decoded->length += data.len;
    }
}

static void test_chunked(void **state)
{
    (void)state;
    static const struct {
        enum ig_http1_chunk end;
        const char *input;
        const char *data;
    } BODIES[] = {
        {IG_HTTP1_CHUNK_END, "5\r\nhello\r\n0\r\n\r\n", "hello"},
        {IG_HTTP1_CHUNK_END, "1\r\na\r\n1\r\nb\r\n0\r\n\r\n", "ab"},
        {IG_HTTP1_CHUNK_END, "00A\r\n0123456789\r\n000\r\n\r\n", "0123456789"},
        {IG_HTTP1_CHUNK_END, "5;a=\"b\"\r\nhello\r\n0;x\r\n\r\n", "hello"},
        {IG_HTTP1_CHUNK_END, "0\r\nX: y\r\nA:\r\n\r\n", ""},
        {IG_HTTP1_CHUNK_MORE, "5\r\nhello\r\n0\r\n\r", "hello"},
        {IG_HTTP1_CHUNK_BAD, "\r\nhello", ""},
        {IG_HTTP1_CHUNK_BAD, ";a\r\n", ""},
        {IG_HTTP1_CHUNK_BAD, " 5\r\nhello", ""},
        {IG_HTTP1_CHUNK_BAD, "5 \r\nhello", ""},
        {IG_HTTP1_CHUNK_BAD, "5\t;a\r\nhello", ""},
        {IG_HTTP1_CHUNK_BAD, "+5\r\nhello", ""},
        {IG_HTTP1_CHUNK_BAD, "-1\r\nhello", ""},
        {IG_HTTP1_CHUNK_BAD, "0x5\r\nhello", ""},
        {IG_HTTP1_CHUNK_BAD, "5_0\r\nhello", ""},
        {IG_HTTP1_CHUNK_BAD, "5\nhello\n0\n\n", ""},
        {IG_HTTP1_CHUNK_BAD, "5\rhello", ""},
        {IG_HTTP1_CHUNK_BAD, "5\r\nhello0\r\n\r\n", "hello"},
        {IG_HTTP1_CHUNK_BAD, "5\r\nhello\n0\r\n\r\n", "hello"},
        {IG_HTTP1_CHUNK_BAD, "5\r\nhello!\r\n", "hello"},
        {IG_HTTP1_CHUNK_BAD, "10000000000000000\r\n", ""},
        {IG_HTTP1_CHUNK_BAD, "FFFFFFFFFFFFFFFF\r\n", ""},
        {IG_HTTP1_CHUNK_BAD, "0000000000000000000001\r\na", ""},
        {IG_HTTP1_CHUNK_BAD, "5;\nhello", ""},
        {IG_HTTP1_CHUNK_BAD, "5;a\001\r\nhello", ""},
        {IG_HTTP1_CHUNK_BAD, "0\r\n folded\r\n\r\n", ""},
        {IG_HTTP1_CHUNK_BAD, "0\r\nno colon\r\n\r\n", ""},
        {IG_HTTP1_CHUNK_BAD, "0\r\nX : y\r\n\r\n", ""},
        {IG_HTTP1_CHUNK_BAD, "0\r\nX: a\nY: b\r\n\r\n", ""},
        {IG_HTTP1_CHUNK_BAD, "0\r\n\n", ""},
    };
    struct decoded decoded;
    for (size_t i = 0; i < sizeof BODIES / sizeof BODIES[0]; i++) {
        for (size_t step = 1; step < 40; step++) {
            decode(&decoded, ig_str_view(BODIES[i].input), step);
            if (decoded.end != BODIES[i].end)
                fail_msg("body %zu, step %zu: %d, expected %d", i, step, decoded.end,
                         BODIES[i].end);
            assert_str((struct ig_str){decoded.data, decoded.length}, BODIES[i].data);
        }
    }
    /* What follows the body is left alone. */
    decode(&decoded, IG_STR("0\r\n\r\nGET /"), 100);
    assert_int_equal(decoded.used, 5);
}

/* Extensions and trailers are capped over the whole body, not for each chunk. */
static void test_chunked_overhead(void **state)
{
    (void)state;
    static const char PIECE[] = "1;0123456789abcdef0123456789abcdef\r\na\r\n";
    struct ig_http1_chunked chunked = {0};
    struct ig_str data;
    size_t data_bytes = 0, used, extension_bytes = 0;
    enum ig_http1_chunk got = IG_HTTP1_CHUNK_MORE;
    for (; got != IG_HTTP1_CHUNK_BAD && data_bytes < 100000; extension_bytes += 32) {
        for (size_t at = 0; at < sizeof PIECE - 1; at += used) {
            got = ig_http1_chunked(&chunked, (struct ig_str){PIECE + at, sizeof PIECE - 1 - at},
                                   &used, &data);
            if (got == IG_HTTP1_CHUNK_DATA) data_bytes += data.len;
            if (got == IG_HTTP1_CHUNK_BAD) break;
        }
    }
    assert_int_equal(got, IG_HTTP1_CHUNK_BAD);
    assert_in_range(extension_bytes, 7000, 8300);
}

static void test_percent_decode(void **state)
{
    (void)state;
    static const struct {
        const char *text, *plain, *form; /* NULL: refused */
    } CASES[] = {
        {"abc", "abc", "abc"},
        {"a%20b+c", "a b+c", "a b c"},
        {"%2e%2E%2f", "../", "../"},
        {"%252e", "%2e", "%2e"},
        {"%C3%A9", "\xc3\xa9", "\xc3\xa9"},
        {"", "", ""},
        {"%00", NULL, NULL},
        {"a%", NULL, NULL},
        {"%4", NULL, NULL},
        {"%4g", NULL, NULL},
        {"%C0%AF", NULL, NULL},
        {"%ff", NULL, NULL},
        {"%ED%A0%80", NULL, NULL},
    };
    struct ig_arena arena;
    ig_arena_init(&arena, 1024, 4096);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        for (int plus = 0; plus <= 1; plus++) {
            const char *expected = plus ? CASES[i].form : CASES[i].plain;
            struct ig_err err = IG_ERR_INIT;
            struct ig_str out = IG_STR("untouched");
            enum ig_code code =
                ig_http_percent_decode(&out, &arena, ig_str_view(CASES[i].text), plus, &err);
            assert_int_equal(code, expected ? IG_OK : IG_INVALID);
            assert_str(out, expected ? expected : "untouched");
        }
    }
    struct ig_err err = IG_ERR_INIT;
    struct ig_str out;
    assert_int_equal(ig_http_percent_decode(&out, &arena, IG_STR("abc%zz"), false, &err),
                     IG_INVALID);
    assert_int_equal(err.at_byte, 3);
    ig_arena_deinit(&arena);
    ig_arena_init(&arena, 16, 16);
    err = IG_ERR_INIT;
    char escapes[301];
    for (int i = 0; i < 100; i++) memcpy(escapes + (ptrdiff_t)3 * i, "%41", 3);
    escapes[300] = '\0';
    assert_int_equal(ig_http_percent_decode(&out, &arena, ig_str_view(escapes), false, &err),
                     IG_NO_MEMORY);
    ig_arena_deinit(&arena);
}

static void test_query(void **state)
{
    (void)state;
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str value, name, rest = IG_STR("a=1&&b&c=x=y&=z");
    char seen[64] = "";
    while (ig_http_query_next(&rest, &name, &value)) {
        size_t length = strlen(seen);
        snprintf(seen + length, sizeof seen - length, "[%.*s:%.*s]", IG_STR_ARGS(name),
                 IG_STR_ARGS(value));
    }
    assert_string_equal(seen, "[a:1][b:][c:x=y][:z]");
    ig_arena_init(&arena, 1024, 4096);
    struct ig_str query = IG_STR("n%61me=v+1%2B&name=2&bad=%zz");
    assert_int_equal(ig_http_query_get(&value, &arena, query, "name", &err), IG_OK);
    assert_str(value, "v 1+");
    assert_int_equal(ig_http_query_get(&value, &arena, query, "other", &err), IG_NOT_FOUND);
    assert_int_equal(err.code, IG_OK);
    assert_int_equal(ig_http_query_get(&value, &arena, query, "bad", &err), IG_INVALID);
    struct ig_str none = {0};
    assert_int_equal(ig_http_query_get(&value, &arena, none, "a", &err), IG_NOT_FOUND);
    ig_arena_deinit(&arena);
}

static void test_response(void **state)
{
    (void)state;
    struct ig_http1_response response;
    struct ig_http_header headers[4];
    const char *reason;
    struct ig_str bytes = IG_STR("HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\nA: b\r\n\r\n");
    assert_int_equal(ig_http1_response(&response, headers, bytes, 4, &reason), 0);
    assert_int_equal(response.status, 404);
    assert_int_equal(response.content_length, 7);
    assert_true(response.keep_alive && response.has_content_length && !response.chunked);
    bytes = IG_STR("HTTP/1.0 200 \r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    assert_int_equal(ig_http1_response(&response, headers, bytes, 4, &reason), 0);
    assert_true(response.chunked && !response.keep_alive);
    static const char *const BAD[] = {
        "HTTP/1.1 99 No\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\ne: 1\r\n\r\n",
        "HTTP/1.1\r\n\r\n"};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        reason = NULL;
        assert_int_equal(ig_http1_response(&response, headers, ig_str_view(BAD[i]), 4, &reason),
                         -1);
        assert_non_null(reason);
    }
}

static void test_parts_of_a_request_keep_the_same_rules(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target, *host;
        int status;
    } CASES[] = {{"GET", "/a/b?c=d", "a:80", 0},  {"OPTIONS", "*", "", 0},
                 {"GET", "*", "a", 400},          {"G T", "/", "a", 400},
                 {"GET", "http://a/", "a", 400},  {"GET", "", "a", 400},
                 {"GET", "/%zz", "a", 400},       {"GET", "/", "a b", 400},
                 {"GET", "/0123456789", "a", 414}};
    const struct ig_http1_limits limits = {1000, 10, 10};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        const char *reason = NULL;
        struct ig_http_request request = {.method = ig_str_view(CASES[i].method),
                                          .target = ig_str_view(CASES[i].target),
                                          .host = ig_str_view(CASES[i].host)};
        assert_int_equal(ig_http_request_check(&request, &limits, &reason), CASES[i].status);
        assert_true(ig_str_is(request.host, CASES[i].host));
        assert_int_equal(reason != NULL, CASES[i].status != 0);
        if (i == 0) assert_true(ig_str_is(request.path, "/a/b"));
        if (i == 0) assert_true(ig_str_is(request.query, "c=d"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_chunked_overhead),
        cmocka_unit_test(test_percent_decode),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_response),
        cmocka_unit_test(test_parts_of_a_request_keep_the_same_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
