/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_REGISTERED_SOURCE_PATTERN_H
#define IG_SERVICES_REGISTERED_SOURCE_PATTERN_H

/* What sources of new versions have to look like, where the server's owner says so: an extended
 * regular expression of POSIX that fits anywhere in them. Immutable; thread-safe. */

#include "base/err.h"
#include "base/str.h"

struct ig_source_pattern;

/* INVALID: no such expression, or a letter behind a backslash, which stands for a class of
 * characters elsewhere (Python, Perl) and for itself here. */
enum ig_code ig_source_pattern_new(struct ig_source_pattern **out, const char *text,
                                   struct ig_err *err);
void ig_source_pattern_free(struct ig_source_pattern *pattern); /* NULL is allowed */
bool ig_source_pattern_fits(const struct ig_source_pattern *pattern, struct ig_str source);

#endif
