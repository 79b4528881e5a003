/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_TRACKING_SEARCH_PRIV_H
#define IG_SERVICES_TRACKING_TRACKING_SEARCH_PRIV_H

/* Shared by the files of the search. */

#include "services/tracking/tracking_search.h"

enum {
    IG_TRACKING_KEYS_MAX = 2 * IG_TRACKING_ORDERS_MAX + 3,
    IG_TRACKING_KEY_BYTES = 256,
    IG_TRACKING_MARK_MAX = 4096, /* what a token says of its row */
};

struct ig_tracking_key {
    char sql[IG_TRACKING_KEY_BYTES];
    enum { IG_TRACKING_KEY_WHOLE, IG_TRACKING_KEY_REAL, IG_TRACKING_KEY_WORDS } type;
    bool descending;
    struct ig_db_value last; /* the value of the page's last row before */
};

struct ig_tracking_query {
    const struct ig_tracking_search *search;
    struct ig_tracking_filter filter;
    struct ig_tracking_order orders[IG_TRACKING_ORDERS_MAX];
    struct ig_tracking_key keys[IG_TRACKING_KEYS_MAX];
    size_t keys_count;
    bool ranked; /* of the runs that have the first order's metric alone, in the order of an index;
                    the first key, whether they have it, is left out */
    struct ig_buf sql;
    struct ig_db_value *values;
    size_t values_count;
    struct ig_str after; /* the id of the token; empty: none */
    struct ig_tracking_found *out;
    struct ig_arena *arena;
};

/* Whether such rows may be deleted between two pages. */
bool ig_tracking_are_removed(enum ig_tracking_kind kind);
/* The digest of the search, and what its token says: query->after, and of rows that may be gone the
 * keys' last values. INVALID when it is of another search or of no row. */
enum ig_code ig_tracking_token_read(struct ig_tracking_query *query, struct ig_err *err);
/* What a token says of the current row, of those that may be gone; its keys are the columns from
 * the second on. ptr NULL when the arena is full. */
struct ig_str ig_tracking_token_mark(const struct ig_tracking_query *query,
                                     struct ig_db_rows *rows);

#endif
