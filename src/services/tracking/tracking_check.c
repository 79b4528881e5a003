/* SPDX-License-Identifier: Apache-2.0 */
/* What MLflow allows as keys and values, and its words when it does not. Lengths count characters,
 * not bytes. Letters beyond ASCII are taken without asking Unicode which of them are letters. */
#include "services/tracking/tracking_priv.h"

#include <string.h>

size_t ig_tracking_characters(struct ig_str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) count += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return count;
}

struct ig_str ig_tracking_cut(struct ig_str text, size_t characters_max)
{
    size_t count = 0;
    if (text.len <= characters_max) return text;
    for (size_t i = 0; i < text.len; i++) {
        count += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
        if (count > characters_max) return (struct ig_str){text.ptr, i};
    }
    return text;
}

enum ig_code ig_tracking_check_length(struct ig_str value, size_t characters_max, const char *field,
                                      struct ig_err *err)
{
    if (value.len <= characters_max || ig_tracking_characters(value) <= characters_max)
        return IG_OK;
    return ig_fail(err, IG_INVALID, "'%s' exceeds the maximum length of %zu characters", field,
                   characters_max);
}

static bool is_key_byte(char at)
{
    return (at >= 'a' && at <= 'z') || (at >= 'A' && at <= 'Z') || (at >= '0' && at <= '9') ||
           (unsigned char)at >= 0x80 || (at != '\0' && strchr("/_.- :", at));
}

/* The name that a file system would find: no "." and no empty part, ".." taken back. */
static void normalise(struct ig_buf *out, struct ig_str key)
{
    struct ig_str rest = key;
    bool absolute = key.len && key.ptr[0] == '/';
    if (absolute) ig_buf_add_char(out, '/');
    while (rest.ptr) {
        struct ig_str part = ig_str_cut(&rest, '/');
        struct ig_str done = ig_buf_view(out);
        if (!part.len || ig_str_is(part, ".")) continue;
        bool stays = !done.len || ig_str_is(done, "..") || ig_str_ends(done, IG_STR("/.."));
        if (ig_str_is(part, "..") && absolute && done.len == 1) continue;
        if (ig_str_is(part, "..") && !stays) {
            while (out->len > (size_t)absolute && out->ptr[out->len - 1] != '/') out->len--;
            if (out->len > (size_t)absolute) out->len--;
            continue;
        }
        if (done.len && done.ptr[done.len - 1] != '/') ig_buf_add_char(out, '/');
        ig_buf_add_str(out, part);
    }
    if (!out->len) ig_buf_add_char(out, '.');
}

enum ig_code ig_tracking_check_path(struct ig_str key, const char *field, struct ig_err *err)
{
    struct ig_buf path;
    enum ig_code code = IG_OK;
    ig_buf_init(&path, key.len + 2);
    normalise(&path, key);
    struct ig_str normal = ig_buf_view(&path);
    if (path.overflowed)
        code = ig_fail(err, IG_NO_MEMORY, "no memory for the key");
    else if (!ig_str_eq(normal, key) || key.ptr[0] == '/' || ig_str_is(key, ".") ||
             ig_str_starts(key, IG_STR("..")))
        code = ig_fail(err, IG_INVALID,
                       "Invalid value \"%.*s\" for parameter '%s' supplied: Names may be treated "
                       "as files in certain cases, and must not resolve to other names when "
                       "treated as such. This name would resolve to '%.*s'",
                       IG_STR_ARGS(ig_tracking_cut(key, 60)), field,
                       IG_STR_ARGS(ig_tracking_cut(normal, 60)));
    ig_buf_deinit(&path);
    return code;
}

enum ig_code ig_tracking_check_key(struct ig_str key, const char *field, struct ig_err *err)
{
    bool good = true;
    if (!key.len)
        return ig_fail(err, IG_INVALID, "Missing value for required parameter '%s'.", field);
    for (size_t i = 0; good && i < key.len; i++) good = is_key_byte(key.ptr[i]);
    if (!good)
        return ig_fail(err, IG_INVALID,
                       "Invalid value \"%.*s\" for parameter '%s' supplied: Names may only contain "
                       "alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), "
                       "colon(:) and slashes (/).",
                       IG_STR_ARGS(ig_tracking_cut(key, 100)), field);
    if (ig_tracking_check_length(key, IG_TRACKING_KEY_MAX, field, err) != IG_OK) return err->code;
    return ig_tracking_check_path(key, field, err);
}

enum ig_code ig_tracking_check_id(struct ig_str id, size_t digits, const char *field,
                                  struct ig_err *err)
{
    bool good = id.len == digits;
    for (size_t i = 0; good && i < id.len; i++)
        good = (id.ptr[i] >= '0' && id.ptr[i] <= '9') || (id.ptr[i] >= 'a' && id.ptr[i] <= 'f');
    if (good) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "Invalid value \"%.*s\" for parameter '%s' supplied: expected %zu lower-case "
                   "hex digits",
                   IG_STR_ARGS(ig_tracking_cut(id, 100)), field, digits);
}
