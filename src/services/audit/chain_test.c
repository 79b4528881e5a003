/* SPDX-License-Identifier: Apache-2.0 */
#include "services/audit/chain.h"
#include "stores/db_testing.h"
#include "stores/temp_testing.h"

static struct ig_err err;

static const char *add(struct ig_chain *chain, int64_t at_ms, const char *a, const char *b)
{
    const struct ig_str fields[] = {ig_str_view(a), ig_str_view(b), IG_STR("")};
    ASSERT_OK(ig_chain_add(chain, &(struct ig_chain_row){at_ms, fields, 3}, &err));
    return chain->hash;
}

/* Hashes by Python's hashlib of "0:3:1 51:a2:bc0:", and of that one's hash likewise. */
static void test_hashes(void **state)
{
    struct ig_chain chain = {0};
    (void)state;
    assert_string_equal(add(&chain, 5, "a", "bc"),
                        "c29c24363f364400e2eb93c7991ac0be962a116564a9860e24dae375f93b8636");
    assert_string_equal(add(&chain, 7, "abc", ""),
                        "19e65d29a1d78f96bc1bfe952117cd64ea6abe73ea2f0db327840fffa94ca3c3");
    assert_int_equal(chain.seq, 2);
}

static enum ig_code fill(struct ig_db_tx *tx, void *context, struct ig_err *error)
{
    static const char select[] = "select seq, hash from audit order by seq desc limit 1";
    struct ig_chain *chain = context;
    chain->seq = 9;
    if (ig_chain_last(chain, tx, select, error) != IG_OK) return error->code;
    assert_int_equal(chain->seq, 0);
    assert_string_equal(chain->hash, "");
    add(chain, 5, "a", "bc");
    if (ig_db_exec(tx,
                   "insert into audit(seq, at_ms, principal_id, principal_name, action, object,"
                   " detail, hash) values(1, 5, '', '', '', '', '', $1)",
                   IG_DB_VALUES(IG_DB_C(chain->hash)), error) != IG_OK)
        return error->code;
    return ig_chain_last(chain, tx, select, error);
}

static void test_where_it_ends(void **state)
{
    struct ig_temp temp = ig_temp_make();
    const struct ig_db_options options = ig_db_testing_options(temp.fd);
    struct ig_chain chain;
    struct ig_db *db = NULL;
    (void)state;
    ASSERT_OK(ig_db_open(&db, &options, &err));
    ASSERT_OK(ig_db_write(db, fill, &chain, &err));
    assert_int_equal(chain.seq, 1);
    assert_string_equal(chain.hash,
                        "c29c24363f364400e2eb93c7991ac0be962a116564a9860e24dae375f93b8636");
    ig_db_close(db);
    ig_temp_remove(&temp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hashes),
                                       cmocka_unit_test(test_where_it_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
