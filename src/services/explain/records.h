/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_EXPLAIN_RECORDS_H
#define IG_SERVICES_EXPLAIN_RECORDS_H

/* Records of explained decisions, for deployments that asked for them: what is needed to make the
 * explanation again, bit for bit. Append-only; each record's hash covers the one before, so that a
 * changed, missing or inserted one shows. A record is on disk when `add` returns. Thread-safe;
 * worker threads only, but for ig_records_wanted. */

#include "services/audit/audit.h"

struct ig_records;

enum ig_code ig_records_open(struct ig_records **out, struct ig_db *db, struct ig_err *err);
void ig_records_close(struct ig_records *records); /* NULL is allowed */

enum ig_records_wanted { IG_RECORDS_NO, IG_RECORDS_YES, IG_RECORDS_BUSY };
/* Whether a deployment's explained decisions are recorded. Loop-safe: never waits, BUSY while a
 * change is under way (ask again from the pool with `wait`). */
enum ig_records_wanted ig_records_wanted(struct ig_records *records, struct ig_str deployment,
                                         bool wait);
/* Switches a deployment's records on or off; what was recorded stays. */
enum ig_code ig_records_set(struct ig_records *records, const struct ig_principal *who,
                            struct ig_str deployment, bool on, struct ig_err *err);

struct ig_record {
    int64_t seq; /* 1.. without gaps */
    int64_t at_ms;
    struct ig_str id, deployment, hash;
    struct ig_str content; /* one JSON object */
};
struct ig_record_list {
    const struct ig_record *items; /* newest first */
    size_t count;
};

/* Appends; `id` is the record's name from then on. */
enum ig_code ig_records_add(char id[IG_ID_SIZE], struct ig_records *records,
                            struct ig_str deployment, struct ig_str content, struct ig_err *err);
enum ig_code ig_records_get(struct ig_record *out, struct ig_records *records, struct ig_str id,
                            struct ig_arena *arena, struct ig_err *err);
/* Records with seq < before (0: the newest), at most `limit` (capped at 1000), without contents. */
enum ig_code ig_records_list(struct ig_record_list *out, struct ig_records *records, int64_t before,
                             size_t limit, struct ig_arena *arena, struct ig_err *err);
/* *count: records whose chain holds. CORRUPT names the first one that does not follow. */
enum ig_code ig_records_verify(int64_t *count, struct ig_records *records, struct ig_err *err);

#endif
