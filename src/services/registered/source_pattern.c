/* SPDX-License-Identifier: Apache-2.0 */
#include "services/registered/source_pattern.h"

#include "base/mem.h"

#include <ctype.h>
#include <regex.h>
#include <string.h>

struct ig_source_pattern {
    regex_t regex;
};

/* NULL, or where a letter or digit stands behind a backslash. */
static const char *find_class(const char *text)
{
    for (const char *at = text; (at = strchr(at, '\\')) && at[1]; at += 2)
        if (isalnum((unsigned char)at[1])) return at;
    return NULL;
}

enum ig_code ig_source_pattern_new(struct ig_source_pattern **out, const char *text,
                                   struct ig_err *err)
{
    char why[128];
    const char *foreign = find_class(text);
    if (foreign)
        return ig_fail(err, IG_INVALID,
                       "'%s': '%.2s' is not of POSIX's extended regular expressions: write a class "
                       "such as [0-9]",
                       text, foreign);
    struct ig_source_pattern *pattern = ig_zalloc(sizeof *pattern);
    if (!pattern) return ig_fail(err, IG_NO_MEMORY, "a regular expression");
    int code = regcomp(&pattern->regex, text, REG_EXTENDED | REG_NOSUB);
    if (code) {
        regerror(code, &pattern->regex, why, sizeof why);
        ig_free(pattern);
        return ig_fail(err, IG_INVALID, "'%s': %s", text, why);
    }
    *out = pattern;
    return IG_OK;
}

void ig_source_pattern_free(struct ig_source_pattern *pattern)
{
    if (!pattern) return;
    regfree(&pattern->regex);
    ig_free(pattern);
}

bool ig_source_pattern_fits(const struct ig_source_pattern *pattern, struct ig_str source)
{
    regmatch_t range = {0, (regoff_t)source.len};
    return regexec(&pattern->regex, source.ptr, 1, &range, REG_STARTEND) == 0;
}
