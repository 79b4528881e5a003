/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_TRACKING_SEARCH_H
#define IG_SERVICES_TRACKING_TRACKING_SEARCH_H

/* Search over runs, experiments, registered models and their versions: filter and order of
 * tracking_filter.h as one statement, page by page. Thread-safe; worker threads only. */

#include "services/tracking/tracking_filter.h"
#include "stores/db.h"

enum {
    IG_TRACKING_RESULTS_MAX = 50000,
    IG_TRACKING_RESULTS_DEFAULT = 1000,
    IG_TRACKING_MODELS_MAX = 1000,
    IG_TRACKING_MODELS_DEFAULT = 100,
    IG_TRACKING_VERSIONS_MAX = 200000,
    IG_TRACKING_VERSIONS_DEFAULT = 10000,
    IG_TRACKING_SEARCHED_MAX = 2000, /* experiments of one search */
    IG_TRACKING_DIGEST_HEX = 16,
};

enum ig_tracking_view { IG_TRACKING_ACTIVE, IG_TRACKING_DELETED, IG_TRACKING_ALL };

struct ig_tracking_search {
    enum ig_tracking_kind kind;
    const int64_t *experiments; /* whose runs; not of a search for experiments */
    size_t experiments_count;
    struct ig_str filter;
    const struct ig_str *orders;
    size_t orders_count;
    enum ig_tracking_view view; /* of models and versions ALL */
    int64_t results_max;        /* 1 to the kind's MAX */
    struct ig_str token;        /* of the page before; empty: the first page */
};

struct ig_tracking_found {
    const struct ig_str *ids;   /* of runs, of the others in decimal; in their order */
    const struct ig_str *marks; /* what a token says of each */
    size_t count;
    struct ig_str token;                     /* of the next page; empty: this is the last */
    char digest[IG_TRACKING_DIGEST_HEX + 1]; /* of the search, for tokens */
};

/* Runs come by the given orders, then the newest first, then by id; experiments the newest first,
 * or by the given orders, then the greatest id first; models by the given orders, then by name;
 * versions by the given orders or the last changed first, then by name, then the last first. NaN
 * stands behind every number and what has no value behind all, in both directions.
 *
 * A token names the last row of its page and the search that it is of: the next page begins behind
 * where that row stands by then; of models and versions where it stood, since it may be gone.
 * INVALID when it is of another search or of no row. */
enum ig_code ig_tracking_search(struct ig_tracking_found *out, struct ig_db *db,
                                const struct ig_tracking_search *search, struct ig_arena *arena,
                                struct ig_err *err);
/* Ends the page behind its first `count` rows, at least one; the next page begins there. */
enum ig_code ig_tracking_found_cut(struct ig_tracking_found *found, size_t count,
                                   struct ig_arena *arena, struct ig_err *err);

#endif
