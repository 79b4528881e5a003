/* SPDX-License-Identifier: Apache-2.0 */
/* What the check of derived columns refuses: each index in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/derived.h"

struct fixture {
    struct ig_model trees, model;
    struct ig_derived_part parts[2];
    struct ig_derived_key keys[1];
    struct ig_derived_table tables[1];
    struct ig_derived_column columns[1];
    struct ig_derived_player players[3];
    uint64_t hashes[2];
    uint32_t features[3], player_of[3];
    struct ig_derived derived;
};

static void fill(struct fixture *f)
{
    *f = (struct fixture){.trees = {.features_count = 3, .outputs_count = 1},
                          .model = {.features_count = 2, .outputs_count = 1},
                          .parts = {{.feature = 0}, {.feature = 1}},
                          .hashes = {5, 9},
                          .features = {0, 1, 1},
                          .player_of = {0, 1, 2}};
    f->keys[0] = (struct ig_derived_key){f->parts, 2};
    f->tables[0] = (struct ig_derived_table){f->hashes, 2, 0};
    for (uint32_t i = 0; i < 3; i++) f->players[i] = (struct ig_derived_player){&f->features[i], 1};
    f->derived = (struct ig_derived){.trees = &f->trees,
                                     .keys = f->keys,
                                     .tables = f->tables,
                                     .columns = f->columns,
                                     .players = f->players,
                                     .player_of = f->player_of,
                                     .keys_count = 1,
                                     .tables_count = 1,
                                     .columns_count = 1,
                                     .players_count = 3};
}

static enum ig_code check(const struct fixture *f)
{
    struct ig_err err = IG_ERR_INIT;
    return ig_derived_check(&f->derived, &f->model, &err);
}

#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct fixture f;                                                                          \
        fill(&f);                                                                                  \
        change;                                                                                    \
        assert_int_equal(check(&f), IG_INVALID);                                                   \
    } while (0)

static void test_indices(void **state)
{
    struct fixture good;
    (void)state;
    fill(&good);
    assert_int_equal(check(&good), IG_OK);
    REFUSED(f.derived.trees = NULL);
    REFUSED(f.trees.kind = IG_MODEL_LINEAR);
    REFUSED(f.trees.features_count = 4);
    REFUSED(f.trees.outputs_count = 2);
    REFUSED(f.parts[1].feature = 2);
    REFUSED(f.tables[0].key = 1);
    REFUSED(f.hashes[1] = 4);
    REFUSED(f.columns[0].table = 1);
    REFUSED(f.features[2] = 2);
    REFUSED(f.players[1].count = 0);
    REFUSED(f.player_of[2] = 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_indices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
