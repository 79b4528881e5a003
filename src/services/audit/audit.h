/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_AUDIT_AUDIT_H
#define IG_SERVICES_AUDIT_AUDIT_H

/* The audit trail: who did what to which object, written in the transaction of the act itself, each
 * record hashing the one before it, so that a changed or missing record shows. */

#include "services/auth/auth.h"

/* Inside a service's own write. `action` as "version.create"; `object` as "churn/3"; `detail`: one
 * JSON object or empty. */
enum ig_code ig_audit_add(struct ig_db_tx *tx, const struct ig_principal *who, const char *action,
                          struct ig_str object, struct ig_str detail, struct ig_err *err);
/* The same in a transaction of its own (for acts of lower services, as key.create). */
enum ig_code ig_audit_record(struct ig_db *db, const struct ig_principal *who, const char *action,
                             struct ig_str object, struct ig_err *err);

struct ig_audit_entry {
    int64_t seq; /* 1.. without gaps */
    int64_t at_ms;
    struct ig_str principal_id, principal_name, action, object, detail;
};
struct ig_audit_list {
    const struct ig_audit_entry *items; /* newest first */
    size_t count;
};
/* Entries with seq < before (0: the newest), at most `limit` (capped at 1000). */
enum ig_code ig_audit_list(struct ig_audit_list *out, struct ig_db *db, struct ig_arena *arena,
                           int64_t before, size_t limit, struct ig_err *err);
/* CORRUPT names the first record whose chain does not hold. */
enum ig_code ig_audit_verify(struct ig_db *db, struct ig_err *err);

#endif
