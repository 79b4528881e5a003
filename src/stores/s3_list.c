/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of objects and of uploads in parts, page by page: names of a page are copied before
 * anything is done with them. Thread rule: pure but for the calls. */
#include "base/clock.h"
#include "base/mem.h"
#include "stores/s3_priv.h"
#include "stores/s3_xml.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PAGE_MAX = 8 << 20, TOKEN_MAX = 8 << 10, PAGES_MAX = 1 << 20 };

struct page {
    struct ig_buf
        names; /* each ends with a NUL; of objects name and time, of uploads name and id */
    struct ig_buf token;  /* of the page after it; of uploads, the name */
    struct ig_buf token2; /* of uploads, the id */
    bool more;
    struct ig_str prefix;
    struct ig_buf wanted;           /* the prefix and the start that was asked for */
    char before[IG_CLOCK_ISO_SIZE]; /* uploads that began earlier */
    char key[1025], upload[1025];   /* of the object or upload that is read */
    char since[32];                 /* and its time */
};

static void page_init(struct page *page, struct ig_s3 *s3)
{
    *page = (struct page){.prefix = ig_str_view(s3_place(s3)->prefix)};
    ig_buf_init(&page->names, PAGE_MAX);
    ig_buf_init(&page->token, TOKEN_MAX);
    ig_buf_init(&page->token2, TOKEN_MAX);
    ig_buf_init(&page->wanted, TOKEN_MAX);
}

static void page_deinit(struct page *page)
{
    ig_buf_deinit(&page->names);
    ig_buf_deinit(&page->token);
    ig_buf_deinit(&page->token2);
    ig_buf_deinit(&page->wanted);
}

static void set_text(struct ig_buf *out, struct ig_str text)
{
    ig_buf_reset(out);
    ig_buf_add_str(out, text);
}

static enum ig_code get_page(struct page *page, struct ig_s3 *s3, struct s3_call *call,
                             bool (*each)(void *context, const struct ig_s3_element *element),
                             struct ig_err *err)
{
    ig_buf_reset(&page->names);
    page->more = false;
    s3_call_query(call, "prefix", page->wanted.ptr ? ig_buf_view(&page->wanted) : page->prefix);
    if (s3_call(s3, call, err) == IG_OK)
        ig_s3_xml_walk(ig_buf_view(&call->exchange.reply), each, page, err);
    if (page->names.overflowed || page->token.overflowed || page->token2.overflowed)
        ig_fail(err, IG_NO_MEMORY, "S3: a list");
    s3_call_deinit(call);
    return err->code;
}

/* ---- objects ---- */

static void keep(char *out, size_t size, struct ig_str text)
{
    size_t length = text.len < size ? text.len : 0;
    if (length) memcpy(out, text.ptr, length);
    out[length] = 0;
}

/* "2026-01-31T23:59:59.000Z"; S3's seconds may have a fraction. */
int64_t s3_time_of(const char *text)
{
    struct tm at = {0};
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &at.tm_year, &at.tm_mon, &at.tm_mday, &at.tm_hour,
               &at.tm_min, &at.tm_sec) != 6)
        return INT64_MAX;
    at.tm_year -= 1900;
    at.tm_mon -= 1;
    return (int64_t)timegm(&at) * 1000;
}

static void end_object(struct page *page)
{
    struct ig_str key = ig_str_view(page->key);
    if (ig_str_starts(key, page->prefix)) {
        ig_buf_add(&page->names, key.ptr + page->prefix.len, key.len - page->prefix.len + 1);
        ig_buf_add(&page->names, page->since, strlen(page->since) + 1);
    }
    page->key[0] = page->since[0] = 0;
}

static bool take_object(void *context, const struct ig_s3_element *element)
{
    struct page *page = context;
    struct ig_str text = element->text;
    if (ig_str_is(element->parent, "Contents")) {
        if (ig_str_is(element->name, "Key")) keep(page->key, sizeof page->key, text);
        if (ig_str_is(element->name, "LastModified")) keep(page->since, sizeof page->since, text);
    }
    if (ig_str_is(element->name, "Contents")) end_object(page);
    if (ig_str_is(element->name, "IsTruncated")) page->more = ig_str_is(text, "true");
    if (ig_str_is(element->name, "NextContinuationToken")) set_text(&page->token, text);
    return true;
}

enum ig_code ig_s3_each(struct ig_s3 *s3, const char *start, ig_s3_visit *each, void *context,
                        struct ig_err *err)
{
    struct page page;
    bool wanted = true;
    page_init(&page, s3);
    ig_buf_add_str(&page.wanted, page.prefix);
    ig_buf_add_cstr(&page.wanted, start);
    for (unsigned pages = 0; wanted && err->code == IG_OK && pages < PAGES_MAX; pages++) {
        struct s3_call call;
        s3_call_init(&call, "GET", NULL);
        s3_call_query(&call, "list-type", IG_STR("2"));
        if (pages) s3_call_query(&call, "continuation-token", ig_buf_view(&page.token));
        if (get_page(&page, s3, &call, take_object, err) != IG_OK) break;
        for (size_t at = 0; wanted && at < page.names.len;) {
            struct ig_str name = ig_str_view(page.names.ptr + at);
            const char *since = name.ptr + name.len + 1;
            wanted = each(context, name, s3_time_of(since));
            at += name.len + strlen(since) + 2;
        }
        if (!page.more || !page.token.len) break;
    }
    page_deinit(&page);
    return err->code;
}

/* ---- uploads ---- */

/* "ba/ba78...": a name of ours, which is a path as it is; what lies there otherwise is not. */
static bool is_ours(struct ig_str key, struct ig_str prefix)
{
    if (!ig_str_starts(key, prefix)) return false;
    const char *name = key.ptr + prefix.len; /* ends with a NUL */
    return strlen(name) == 67 && strspn(name, "0123456789abcdef/") == 67;
}

static void end_upload(struct page *page)
{
    enum { TO_SECONDS = 19 }; /* of two times in ISO 8601, in UTC */
    struct ig_str key = ig_str_view(page->key);
    bool old = page->since[0] && strncmp(page->since, page->before, TO_SECONDS) < 0;
    if (old && page->upload[0] && is_ours(key, page->prefix)) {
        ig_buf_add(&page->names, key.ptr + page->prefix.len, key.len - page->prefix.len + 1);
        ig_buf_add(&page->names, page->upload, strlen(page->upload) + 1);
    }
    page->key[0] = page->upload[0] = page->since[0] = 0;
}

static bool take_upload(void *context, const struct ig_s3_element *element)
{
    struct page *page = context;
    struct ig_str text = element->text;
    if (ig_str_is(element->parent, "Upload")) {
        if (ig_str_is(element->name, "Key")) keep(page->key, sizeof page->key, text);
        if (ig_str_is(element->name, "UploadId")) keep(page->upload, sizeof page->upload, text);
        if (ig_str_is(element->name, "Initiated")) keep(page->since, sizeof page->since, text);
    }
    if (ig_str_is(element->name, "Upload")) end_upload(page);
    if (ig_str_is(element->name, "IsTruncated")) page->more = ig_str_is(text, "true");
    if (ig_str_is(element->name, "NextKeyMarker")) set_text(&page->token, text);
    if (ig_str_is(element->name, "NextUploadIdMarker")) set_text(&page->token2, text);
    return true;
}

enum ig_code ig_s3_sweep(struct ig_s3 *s3, int64_t before_unix_ms, struct ig_err *err)
{
    struct page page;
    page_init(&page, s3);
    ig_clock_iso(page.before, before_unix_ms);
    for (unsigned pages = 0; err->code == IG_OK && pages < PAGES_MAX; pages++) {
        struct s3_call call;
        s3_call_init(&call, "GET", NULL);
        s3_call_query(&call, "uploads", IG_STR(""));
        if (pages) s3_call_query(&call, "key-marker", ig_buf_view(&page.token));
        if (pages) s3_call_query(&call, "upload-id-marker", ig_buf_view(&page.token2));
        if (get_page(&page, s3, &call, take_upload, err) != IG_OK) break;
        for (size_t at = 0; err->code == IG_OK && at < page.names.len;) {
            const char *name = page.names.ptr + at, *upload = name + strlen(name) + 1;
            s3_abort_parts(s3, name, ig_str_view(upload), err);
            at += strlen(name) + strlen(upload) + 2;
        }
        if (!page.more || !page.token.len) break;
    }
    page_deinit(&page);
    return err->code;
}
