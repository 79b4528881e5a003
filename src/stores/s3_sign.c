/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of requests to S3. A path is signed as it is sent, neither normalised nor encoded
 * twice: S3 differs in that from AWS's other services.
 *
 * Source: docs.aws.amazon.com, "Authenticating Requests (AWS Signature Version 4)" in the API
 * reference of Amazon S3. Thread rule: pure. */
#include "stores/s3_sign.h"

#include "base/err.h"

#include <string.h>

enum { TEXT_MAX = 64 << 10, DATE_CHARACTERS = 8 };

static const char ALGORITHM[] = "AWS4-HMAC-SHA256";

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void ig_s3_encode(struct ig_buf *out, struct ig_str text, bool slashes)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (is_unreserved(c) || (slashes && c == '/')) {
            ig_buf_add_char(out, c);
        } else {
            const char code[3] = {'%', hex[(unsigned char)c >> 4], hex[(unsigned char)c & 15]};
            ig_buf_add(out, code, sizeof code);
        }
    }
}

/* ---- order ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static int compare(struct ig_str a, struct ig_str b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_nocase(struct ig_str a, struct ig_str b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        int order = (unsigned char)lower(a.ptr[i]) - (unsigned char)lower(b.ptr[i]);
        if (order) return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

/* `order` lists the pairs sorted by name, equal names by value or as they came. */
static void sort(size_t order[IG_S3_PAIRS_MAX], const struct ig_s3_pair *pairs, size_t count,
                 bool headers)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0; at--) {
            const struct ig_s3_pair *before = &pairs[order[at - 1]];
            int step = headers ? compare_nocase(before->name, pairs[i].name)
                               : compare(before->name, pairs[i].name);
            if (step == 0 && !headers) step = compare(before->value, pairs[i].value);
            if (step <= 0) break;
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
}

void ig_s3_query(struct ig_buf *out, const struct ig_s3_pair *query, size_t count)
{
    struct ig_s3_pair encoded[IG_S3_PAIRS_MAX];
    size_t starts[IG_S3_PAIRS_MAX][2], order[IG_S3_PAIRS_MAX];
    struct ig_buf text;
    IG_ASSERT(count <= IG_S3_PAIRS_MAX);
    ig_buf_init(&text, TEXT_MAX);
    for (size_t i = 0; i < count; i++) { /* what is sorted is the encoded form */
        starts[i][0] = text.len;
        ig_s3_encode(&text, query[i].name, false);
        starts[i][1] = text.len;
        ig_s3_encode(&text, query[i].value, false);
    }
    for (size_t i = 0; i < count; i++) {
        size_t end = i + 1 < count ? starts[i + 1][0] : text.len;
        encoded[i].name = (struct ig_str){text.ptr + starts[i][0], starts[i][1] - starts[i][0]};
        encoded[i].value = (struct ig_str){text.ptr + starts[i][1], end - starts[i][1]};
    }
    if (text.overflowed) out->overflowed = true;
    if (!text.ptr) count = 0;
    sort(order, encoded, count, false);
    for (size_t i = 0; i < count; i++) {
        if (i) ig_buf_add_char(out, '&');
        ig_buf_add_str(out, encoded[order[i]].name);
        ig_buf_add_char(out, '=');
        ig_buf_add_str(out, encoded[order[i]].value);
    }
    ig_buf_deinit(&text);
}

/* ---- headers ---- */

static void add_lower(struct ig_buf *out, struct ig_str name)
{
    for (size_t i = 0; i < name.len; i++) ig_buf_add_char(out, lower(name.ptr[i]));
}

/* Trimmed, and every run of spaces one space. */
static void add_value(struct ig_buf *out, struct ig_str value)
{
    value = ig_str_trim(value);
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] != ' ' || value.ptr[i - 1] != ' ') ig_buf_add_char(out, value.ptr[i]);
}

static bool same_name(const struct ig_s3_request *request, const size_t *order, size_t i)
{
    return i > 0 &&
           ig_str_eq_nocase(request->headers[order[i - 1]].name, request->headers[order[i]].name);
}

static void add_names(struct ig_buf *out, const struct ig_s3_request *request)
{
    size_t order[IG_S3_PAIRS_MAX];
    IG_ASSERT(request->headers_count <= IG_S3_PAIRS_MAX);
    sort(order, request->headers, request->headers_count, true);
    for (size_t i = 0; i < request->headers_count; i++) {
        if (same_name(request, order, i)) continue;
        if (i) ig_buf_add_char(out, ';');
        add_lower(out, request->headers[order[i]].name);
    }
}

static void add_headers(struct ig_buf *out, const struct ig_s3_request *request)
{
    size_t order[IG_S3_PAIRS_MAX];
    IG_ASSERT(request->headers_count <= IG_S3_PAIRS_MAX);
    sort(order, request->headers, request->headers_count, true);
    for (size_t i = 0; i < request->headers_count; i++) {
        if (same_name(request, order, i)) {
            ig_buf_add_char(out, ',');
        } else {
            if (i) ig_buf_add_char(out, '\n');
            add_lower(out, request->headers[order[i]].name);
            ig_buf_add_char(out, ':');
        }
        add_value(out, request->headers[order[i]].value);
    }
    if (request->headers_count) ig_buf_add_char(out, '\n');
}

/* ---- signing ---- */

void ig_s3_canonical(struct ig_buf *out, const struct ig_s3_request *request)
{
    ig_buf_add_str(out, request->method);
    ig_buf_add_char(out, '\n');
    ig_buf_add_str(out, request->path);
    ig_buf_add_char(out, '\n');
    ig_s3_query(out, request->query, request->query_count);
    ig_buf_add_char(out, '\n');
    add_headers(out, request);
    ig_buf_add_char(out, '\n');
    add_names(out, request);
    ig_buf_add_char(out, '\n');
    ig_buf_add_str(out, request->payload_hash);
}

static void add_scope(struct ig_buf *out, const struct ig_s3_signer *signer)
{
    size_t date = signer->time.len < DATE_CHARACTERS ? signer->time.len : DATE_CHARACTERS;
    ig_buf_add(out, signer->time.ptr, date);
    ig_buf_add_char(out, '/');
    ig_buf_add_str(out, signer->region);
    ig_buf_add_char(out, '/');
    ig_buf_add_str(out, signer->service);
    ig_buf_add_cstr(out, "/aws4_request");
}

void ig_s3_string_to_sign(struct ig_buf *out, const struct ig_s3_request *request,
                          const struct ig_s3_signer *signer)
{
    char digest[IG_SHA256_HEX];
    struct ig_buf canonical;
    ig_buf_init(&canonical, TEXT_MAX);
    ig_s3_canonical(&canonical, request);
    ig_sha256_hex(canonical.ptr, canonical.len, digest);
    if (canonical.overflowed) out->overflowed = true;
    ig_buf_deinit(&canonical);
    ig_buf_add_cstr(out, ALGORITHM);
    ig_buf_add_char(out, '\n');
    ig_buf_add_str(out, signer->time);
    ig_buf_add_char(out, '\n');
    add_scope(out, signer);
    ig_buf_add_char(out, '\n');
    ig_buf_add_cstr(out, digest);
}

static void add_signature(struct ig_buf *out, const struct ig_s3_request *request,
                          const struct ig_s3_signer *signer)
{
    unsigned char key[IG_SHA256_BYTES];
    char hex[IG_SHA256_HEX];
    struct ig_buf text;
    const struct ig_str mac = {(const char *)key, sizeof key};
    size_t date = signer->time.len < DATE_CHARACTERS ? signer->time.len : DATE_CHARACTERS;
    ig_buf_init(&text, TEXT_MAX);
    ig_buf_add_cstr(&text, "AWS4");
    ig_buf_add_str(&text, signer->secret_key);
    ig_hmac_sha256(key, ig_buf_view(&text), (struct ig_str){signer->time.ptr, date});
    if (text.ptr) explicit_bzero(text.ptr, text.len);
    ig_hmac_sha256(key, mac, signer->region);
    ig_hmac_sha256(key, mac, signer->service);
    ig_hmac_sha256(key, mac, IG_STR("aws4_request"));
    ig_buf_reset(&text);
    ig_s3_string_to_sign(&text, request, signer);
    ig_hmac_sha256(key, mac, ig_buf_view(&text));
    ig_hex(hex, key, sizeof key);
    explicit_bzero(key, sizeof key);
    if (text.overflowed) out->overflowed = true;
    ig_buf_deinit(&text);
    ig_buf_add_cstr(out, hex);
}

void ig_s3_authorize(struct ig_buf *out, const struct ig_s3_request *request,
                     const struct ig_s3_signer *signer)
{
    ig_buf_add_cstr(out, ALGORITHM);
    ig_buf_add_cstr(out, " Credential=");
    ig_buf_add_str(out, signer->access_key);
    ig_buf_add_char(out, '/');
    add_scope(out, signer);
    ig_buf_add_cstr(out, ",SignedHeaders=");
    add_names(out, request);
    ig_buf_add_cstr(out, ",Signature=");
    add_signature(out, request, signer);
}

void ig_s3_presign(struct ig_buf *out, const struct ig_s3_request *request,
                   const struct ig_s3_signer *signer, uint32_t expires_s)
{
    struct ig_s3_pair query[IG_S3_PAIRS_MAX];
    struct ig_buf credential, names, expires;
    size_t count = request->query_count;
    IG_ASSERT(count + 6 <= IG_S3_PAIRS_MAX);
    ig_buf_init(&credential, TEXT_MAX);
    ig_buf_init(&names, TEXT_MAX);
    ig_buf_init(&expires, TEXT_MAX);
    ig_buf_add_str(&credential, signer->access_key);
    ig_buf_add_char(&credential, '/');
    add_scope(&credential, signer);
    add_names(&names, request);
    ig_buf_add_u64(&expires, expires_s);
    if (count) memcpy(query, request->query, count * sizeof query[0]);
    query[count++] = (struct ig_s3_pair){IG_STR("X-Amz-Algorithm"), ig_str_view(ALGORITHM)};
    query[count++] = (struct ig_s3_pair){IG_STR("X-Amz-Credential"), ig_buf_view(&credential)};
    query[count++] = (struct ig_s3_pair){IG_STR("X-Amz-Date"), signer->time};
    query[count++] = (struct ig_s3_pair){IG_STR("X-Amz-Expires"), ig_buf_view(&expires)};
    query[count++] = (struct ig_s3_pair){IG_STR("X-Amz-SignedHeaders"), ig_buf_view(&names)};
    if (signer->token.len)
        query[count++] = (struct ig_s3_pair){IG_STR("X-Amz-Security-Token"), signer->token};
    struct ig_s3_request whole = *request;
    whole.query = query;
    whole.query_count = count;
    ig_s3_query(out, query, count);
    ig_buf_add_cstr(out, "&X-Amz-Signature=");
    add_signature(out, &whole, signer);
    if (credential.overflowed || names.overflowed || expires.overflowed) out->overflowed = true;
    ig_buf_deinit(&credential);
    ig_buf_deinit(&names);
    ig_buf_deinit(&expires);
}
