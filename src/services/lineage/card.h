/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_LINEAGE_CARD_H
#define IG_SERVICES_LINEAGE_CARD_H

/* Model cards: a version in Markdown, for people: what it takes and answers, how it was made and of
 * what data, how well it does, what was checked and by whom, where it serves. Made anew each time,
 * of what the stores say now.
 *
 * Whatever a user wrote is escaped: it makes no markup, no link and no HTML, in a Markdown renderer
 * or pasted into a page. Worker threads only. */

#include "services/explain/backgrounds.h"
#include "services/registry/registry.h"
#include "services/tracking/tracking.h"

enum { IG_CARD_MAX_BYTES = 8 << 20 };

struct ig_card_sources {
    struct ig_db *db;
    struct ig_blob_store *blobs;
    struct ig_registry *registry;
    struct ig_tracking *tracking;
    struct ig_backgrounds *backgrounds;
};
/* Appends; NOT_FOUND: neither registry has the version. TOO_LARGE over the buffer's cap. */
enum ig_code ig_card_write(struct ig_buf *out, const struct ig_card_sources *sources,
                           struct ig_str model, int64_t version, struct ig_arena *arena,
                           struct ig_err *err);

/* A text as one line of Markdown that says just that, cut at `bytes_max` with "..." behind. */
void ig_card_escape(struct ig_buf *out, struct ig_str text, size_t bytes_max);

#endif
