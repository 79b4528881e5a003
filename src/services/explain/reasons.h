/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_EXPLAIN_REASONS_H
#define IG_SERVICES_EXPLAIN_REASONS_H

/* Reason codes of registered models: what to tell a person whose answer was adverse. Each feature
 * has a text; features of one text count together. Thread-safe; worker threads only, but for
 * ig_reasons_find. */

#include "base/json.h"
#include "services/explain/backgrounds.h"

struct ig_reasons;

enum ig_code ig_reasons_open(struct ig_reasons **out, struct ig_db *db, struct ig_blob_store *blobs,
                             struct ig_registry *registry, struct ig_backgrounds *backgrounds,
                             struct ig_err *err);
void ig_reasons_close(struct ig_reasons *reasons); /* NULL is allowed */

struct ig_reason_text {
    struct ig_str feature, text;
};
struct ig_reason_codes {
    bool adverse_high;      /* a high margin is adverse, else a low one */
    struct ig_str baseline; /* name of a background of the model; or empty */
    const struct ig_reason_text *texts;
    size_t count;
};

enum { IG_REASON_TEXTS_MAX = 10000, IG_REASON_TEXT_MAX = 500 };

/* From {"adverse": "high", "baseline": "approved", "texts": {"age": "...", ...}}; in the reader's
 * arena. INVALID names the member. */
enum ig_code ig_reason_codes_read(struct ig_reason_codes *out, struct ig_json *json);
void ig_reason_codes_write(struct ig_json_out *out, const struct ig_reason_codes *codes);

/* Creates or replaces a model's. INVALID: the latest version has no such feature, the model no such
 * background. */
enum ig_code ig_reasons_set(struct ig_reasons *reasons, const struct ig_principal *who,
                            struct ig_str model, const struct ig_reason_codes *codes,
                            struct ig_err *err);
enum ig_code ig_reasons_delete(struct ig_reasons *reasons, const struct ig_principal *who,
                               struct ig_str model, struct ig_err *err);

enum ig_reasons_found { IG_REASONS_ABSENT, IG_REASONS_FOUND, IG_REASONS_BUSY };
/* A copy in the arena. Loop-safe: never waits, BUSY while a change is under way (ask again from the
 * pool with `wait`). A copy that does not fit the arena is ABSENT, with arena->overflowed set. */
enum ig_reasons_found ig_reasons_find(struct ig_reason_codes *out, struct ig_reasons *reasons,
                                      struct ig_str model, struct ig_arena *arena, bool wait);

#endif
