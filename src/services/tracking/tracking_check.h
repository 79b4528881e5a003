/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_TRACKING_CHECK_H
#define IG_SERVICES_TRACKING_TRACKING_CHECK_H

/* What MLflow allows as keys, names and values, for all that its clients keep here. Pure. */

#include "base/err.h"
#include "base/str.h"

/* A key: 1 to 250 letters, digits, "_-.: /", that as a path names nothing else; `field` is what the
 * message calls it, "params[3].key". */
enum ig_code ig_tracking_check_key(struct ig_str key, const char *field, struct ig_err *err);
/* The last part of it: a name as a path. */
enum ig_code ig_tracking_check_path(struct ig_str key, const char *field, struct ig_err *err);
enum ig_code ig_tracking_check_length(struct ig_str value, size_t characters_max, const char *field,
                                      struct ig_err *err);
/* So many lower-case hex digits. */
enum ig_code ig_tracking_check_id(struct ig_str id, size_t digits, const char *field,
                                  struct ig_err *err);
/* The text's first characters. */
struct ig_str ig_tracking_cut(struct ig_str text, size_t characters_max);
size_t ig_tracking_characters(struct ig_str text);

#endif
