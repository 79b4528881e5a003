/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_JOB_JOB_DROP_H
#define IG_SERVICES_JOB_JOB_DROP_H

/* The columns that a training job leaves out: a JSON array of names in requests, rows and spec.json
 * alike. */

#include "base/json.h"

enum { IG_DROP_MAX = 1000, IG_DROP_JSON_MAX = 64 << 10 };

struct ig_drop {
    const struct ig_str *names;
    size_t count;
};

bool ig_drop_has(const struct ig_drop *drop, struct ig_str name);
/* The array that comes next in `json`; the list lies in the reader's arena, names are views as the
 * reader gives them. INVALID when it is no array of column names or has more than IG_DROP_MAX. */
enum ig_code ig_drop_read(struct ig_drop *out, struct ig_json *json);
void ig_drop_write(struct ig_json_out *out, const struct ig_drop *drop);

#endif
