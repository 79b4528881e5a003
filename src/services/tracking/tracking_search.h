/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_TRACKING_SEARCH_H
#define IG_SERVICES_TRACKING_TRACKING_SEARCH_H

/* Search over runs, experiments, registered models and their versions, logged models, and traces:
 * filter and order of tracking_filter.h as one statement, page by page. Thread-safe; worker threads
 * only. */

#include "services/tracking/tracking_filter.h"
#include "services/users/grants.h"
#include "stores/db.h"

enum {
    IG_TRACKING_RESULTS_MAX = 50000,
    IG_TRACKING_RESULTS_DEFAULT = 1000,
    IG_TRACKING_MODELS_MAX = 1000,
    IG_TRACKING_MODELS_DEFAULT = 100,
    IG_TRACKING_VERSIONS_MAX = 200000,
    IG_TRACKING_VERSIONS_DEFAULT = 10000,
    IG_TRACKING_LOGGED_MAX = 50000,
    IG_TRACKING_LOGGED_DEFAULT = 50,
    IG_TRACKING_TRACES_MAX = 500,
    IG_TRACKING_TRACES_DEFAULT = 100,
    IG_TRACKING_ISSUES_DEFAULT = 100,
    IG_TRACKING_SEARCHED_MAX = 2000,   /* experiments of one search */
    IG_TRACKING_LOGGED_SETS_MAX = 100, /* datasets that metrics are taken of */
    IG_TRACKING_DIGEST_HEX = 16,
};

enum ig_tracking_view { IG_TRACKING_ACTIVE, IG_TRACKING_DELETED, IG_TRACKING_ALL };

/* Of logged models: metrics are of a dataset, if it has a name, whatever digest if that is empty.
 */
struct ig_tracking_of_dataset {
    struct ig_str name, digest;
};
struct ig_tracking_logged_order {
    struct ig_str field;
    bool descending;
    struct ig_tracking_of_dataset dataset;
};

struct ig_tracking_search {
    enum ig_tracking_kind kind;
    const int64_t *experiments; /* whose runs, logged models or traces; not of the other kinds */
    size_t experiments_count;
    bool nowhere; /* none of them may be seen: nothing is found */
    struct ig_str filter;
    const struct ig_str *orders;                          /* not of logged models */
    const struct ig_tracking_logged_order *logged_orders; /* of these */
    size_t orders_count;
    const struct ig_tracking_of_dataset *datasets; /* of logged models: that metrics are of any */
    size_t datasets_count;
    bool traces_counted;        /* of issues: those in more traces come first, within a severity */
    enum ig_tracking_view view; /* of models, versions and traces ALL */
    int64_t results_max;        /* 1 to the kind's MAX */
    struct ig_str token;        /* of the page before; empty: the first page */
    struct ig_viewer viewer;    /* of experiments, issues, models and versions: only what it sees */
};

struct ig_tracking_found {
    const struct ig_str
        *ids; /* of runs, logged models and traces, of the others in decimal; in order */
    const struct ig_str *marks; /* what a token says of each */
    size_t count;
    struct ig_str token;                     /* of the next page; empty: this is the last */
    bool traces_counted;                     /* as it was asked */
    char digest[IG_TRACKING_DIGEST_HEX + 1]; /* of the search, for tokens */
};

/* Runs come by the given orders, then the newest first, then by id; experiments the newest first,
 * or by the given orders, then the greatest id first; models by the given orders, then by name;
 * versions by the given orders or the last changed first, then by name, then the last first; logged
 * models and traces as runs do, logged models by their latest metric where a metric is the order.
 * NaN stands behind every number and what has no value behind all, in both directions.
 *
 * A token names the last row of its page and the search that it is of: the next page begins behind
 * where that row stands by then; of models, versions and traces where it stood, since it may be
 * gone. INVALID when it is of another search or of no row. */
enum ig_code ig_tracking_search(struct ig_tracking_found *out, struct ig_db *db,
                                const struct ig_tracking_search *search, struct ig_arena *arena,
                                struct ig_err *err);
/* Ends the page behind its first `count` rows, at least one; the next page begins there. */
enum ig_code ig_tracking_found_cut(struct ig_tracking_found *found, size_t count,
                                   struct ig_arena *arena, struct ig_err *err);

/* How many traces of the search's experiments each of these filters finds, at one moment. */
struct ig_tracking_counts {
    const struct ig_str *filters;
    int64_t *found;
    size_t count;
};
enum ig_code ig_tracking_traces_count(const struct ig_tracking_counts *counts, struct ig_db *db,
                                      const struct ig_tracking_search *search,
                                      struct ig_arena *arena, struct ig_err *err);

#endif
