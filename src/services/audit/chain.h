/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_AUDIT_CHAIN_H
#define IG_SERVICES_AUDIT_CHAIN_H

/* Rows that are chained: each holds the SHA-256 over the hash of the one before and over its own
 * number, time and fields, each preceded by its length, so that no two different rows have the same
 * input and a changed, missing or inserted one shows. Numbers are 1.. without gaps. Thread rule: as
 * the database's; its writer is single, so nobody takes a number twice. */

#include "base/hash.h"
#include "stores/db.h"

/* The end of a chain; all zero before its first row. */
struct ig_chain {
    int64_t seq;
    char hash[IG_SHA256_HEX];
};

struct ig_chain_row {
    int64_t at_ms;
    const struct ig_str *fields;
    size_t fields_count;
};

/* `select` gives seq and hash of the last row, or no row. */
enum ig_code ig_chain_last(struct ig_chain *chain, struct ig_db_tx *tx, const char *select,
                           struct ig_err *err);
/* Goes on by a row, which gets the chain's new seq and hash. */
enum ig_code ig_chain_add(struct ig_chain *chain, const struct ig_chain_row *row,
                          struct ig_err *err);

#endif
