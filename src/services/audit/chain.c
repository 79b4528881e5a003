/* SPDX-License-Identifier: Apache-2.0 */
/* Stateless. */
#include "services/audit/chain.h"

#include <stdio.h>
#include <string.h>

enum ig_code ig_chain_last(struct ig_chain *chain, struct ig_db_tx *tx, const char *select,
                           struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    *chain = (struct ig_chain){0};
    if (ig_db_query(&rows, tx, select, NULL, 0, err) != IG_OK) return err->code;
    if (ig_db_next(rows, err)) {
        struct ig_str hash = ig_db_text(rows, 1);
        chain->seq = ig_db_i64(rows, 0);
        if (hash.len == IG_SHA256_HEX - 1) memcpy(chain->hash, hash.ptr, hash.len);
    }
    ig_db_finish(rows);
    return err->code;
}

static void hash_text(struct ig_sha256 *hash, struct ig_str text)
{
    char length[32];
    int digits = snprintf(length, sizeof length, "%zu:", text.len);
    ig_sha256_update(hash, length, (size_t)digits);
    if (text.len) ig_sha256_update(hash, text.ptr, text.len);
}

enum ig_code ig_chain_add(struct ig_chain *chain, const struct ig_chain_row *row,
                          struct ig_err *err)
{
    unsigned char digest[IG_SHA256_BYTES];
    char numbers[64];
    struct ig_sha256 *hash = ig_sha256_new();
    if (!hash) return ig_fail(err, IG_NO_MEMORY, "chain of rows");
    chain->seq++;
    snprintf(numbers, sizeof numbers, "%lld %lld", (long long)chain->seq, (long long)row->at_ms);
    hash_text(hash, ig_str_view(chain->hash));
    hash_text(hash, ig_str_view(numbers));
    for (size_t i = 0; i < row->fields_count; i++) hash_text(hash, row->fields[i]);
    ig_sha256_final(hash, digest);
    ig_sha256_free(hash);
    ig_hex(chain->hash, digest, sizeof digest);
    return IG_OK;
}
