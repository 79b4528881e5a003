/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/thread.h"
#include "kernels/tree/tree_testing.h"
#include "services/explain/prepared.h"

#include <string.h>

struct fixture {
    struct ig_model *model;
    struct ig_engine *engine;
    struct ig_prepared_set *set;
};

static const uint32_t MAP[4] = {0, 1, 0, 2};
static const struct ig_players GROUPS = {MAP, 3};

/* Of 4 features; `large`: of 12, whose tables outweigh what stands beside them. */
static void open_sized(struct fixture *fixture, bool large, size_t memory)
{
    const struct ig_testing_shape shape = {.features = large ? 12 : 4,
                                           .outputs = 1,
                                           .trees = large ? 40 : 8,
                                           .depth = large ? 8 : 4,
                                           .f32 = true};
    struct ig_err err = IG_ERR_INIT;
    fixture->model = ig_testing_model(&shape, 3);
    assert_int_equal(ig_engine_new(&fixture->engine, fixture->model, &err), IG_OK);
    assert_int_equal(ig_prepared_new(&fixture->set, memory, &err), IG_OK);
}

static void open_fixture(struct fixture *fixture, size_t memory)
{
    open_sized(fixture, false, memory);
}

static void close_fixture(struct fixture *fixture)
{
    ig_prepared_free(fixture->set);
    ig_engine_free(fixture->engine);
    ig_model_free(fixture->model);
}

static struct ig_prepared_key key_of(enum ig_explainer method, const struct ig_players *players)
{
    struct ig_prepared_key key = {.method = method};
    ig_prepared_groups(key.groups, players, 4);
    return key;
}

static void test_found_once_made(void **state)
{
    struct fixture fixture;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_explain *first = NULL, *again = NULL;
    (void)state;
    open_fixture(&fixture, 0);
    struct ig_prepared_key plain = key_of(IG_EXPLAINER_SAABAS, NULL);
    struct ig_prepared_key grouped = key_of(IG_EXPLAINER_SAABAS, &GROUPS);
    struct ig_explain_spec spec = {.method = IG_EXPLAINER_SAABAS};
    assert_null(ig_prepared_find(fixture.set, &plain));
    assert_int_equal(ig_prepared_make(&first, fixture.set, &plain, fixture.engine, &spec, &err),
                     IG_OK);
    assert_ptr_equal(ig_prepared_find(fixture.set, &plain), first);
    assert_null(ig_prepared_find(fixture.set, &grouped));
    assert_int_equal(ig_prepared_make(&again, fixture.set, &plain, fixture.engine, &spec, &err),
                     IG_OK);
    assert_ptr_equal(again, first);
    spec.players = &GROUPS;
    assert_int_equal(ig_prepared_make(&again, fixture.set, &grouped, fixture.engine, &spec, &err),
                     IG_OK);
    assert_ptr_not_equal(again, first);
    assert_int_equal(ig_prepared_count(fixture.set), 2);
    assert_true(ig_prepared_memory_bytes(fixture.set) > ig_explain_memory_bytes(first));
    assert_ptr_equal(ig_prepared_find(fixture.set, &plain), first);
    spec.method = IG_EXPLAINER_EXACT; /* without a background: refused, nothing is kept */
    struct ig_prepared_key exact = key_of(IG_EXPLAINER_EXACT, NULL);
    assert_int_equal(ig_prepared_make(&again, fixture.set, &exact, fixture.engine, &spec, &err),
                     IG_INVALID);
    assert_int_equal(ig_prepared_count(fixture.set), 2);
    close_fixture(&fixture);
}

/* Clients that invent backgrounds run into the bounds. */
static void test_bounds(void **state)
{
    struct fixture fixture;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_explain *explain;
    const struct ig_explain_spec spec = {.method = IG_EXPLAINER_SAABAS};
    (void)state;
    open_fixture(&fixture, 0);
    struct ig_prepared_key key = key_of(IG_EXPLAINER_SAABAS, NULL);
    enum ig_code code = IG_OK;
    for (int i = 0; i < 200 && code == IG_OK; i++) {
        err = IG_ERR_INIT;
        key.background[0] = (char)('!' + i % 90);
        key.background[1] = (char)('!' + i / 90);
        code = ig_prepared_make(&explain, fixture.set, &key, fixture.engine, &spec, &err);
    }
    assert_int_equal(code, IG_EXHAUSTED);
    assert_int_equal(ig_prepared_count(fixture.set), 64);
    assert_non_null(strstr(err.message, "already holds 64 prepared explanations, at most 64"));
    close_fixture(&fixture);
}

/* The bytes that a method takes when there is room. */
static size_t bytes_of(const struct ig_explain_spec *spec, const struct ig_prepared_key *key,
                       bool large)
{
    struct fixture fixture;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_explain *explain;
    open_sized(&fixture, large, 0);
    assert_int_equal(ig_prepared_make(&explain, fixture.set, key, fixture.engine, spec, &err),
                     IG_OK);
    size_t bytes = ig_prepared_memory_bytes(fixture.set);
    close_fixture(&fixture);
    return bytes;
}

/* Memory is kept to: tables shrink where they can, what does not fit is refused with its size, and
 * what needs less still fits. */
static void test_memory(void **state)
{
    static const double ROWS[36] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2};
    const struct ig_background background = {ROWS, NULL, 3, 4}, wide = {ROWS, NULL, 3, 12};
    const struct ig_explain_spec saabas = {.method = IG_EXPLAINER_SAABAS},
                                 tables = {.method = IG_EXPLAINER_TREE_INTERVENTIONAL,
                                           .background = &background};
    const struct ig_prepared_key small = key_of(IG_EXPLAINER_SAABAS, NULL),
                                 large = key_of(IG_EXPLAINER_TREE_INTERVENTIONAL, NULL);
    size_t small_bytes = bytes_of(&saabas, &small, false);
    size_t large_bytes = bytes_of(&tables, &large, false);
    struct fixture fixture;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_explain *explain;
    (void)state;
    struct ig_explain_spec many = tables;
    many.background = &wide;
    size_t many_bytes = bytes_of(&many, &large, true);
    assert_true(small_bytes < large_bytes);
    open_sized(&fixture, true, many_bytes / 8 * 7); /* some leaves are walked instead */
    assert_int_equal(ig_prepared_make(&explain, fixture.set, &large, fixture.engine, &many, &err),
                     IG_OK);
    assert_string_not_equal(ig_explain_variant(explain), "tables");
    assert_true(ig_prepared_memory_bytes(fixture.set) <= many_bytes / 8 * 7);
    close_fixture(&fixture);
    open_fixture(&fixture, small_bytes);
    assert_int_equal(ig_prepared_make(&explain, fixture.set, &large, fixture.engine, &tables, &err),
                     IG_EXHAUSTED);
    assert_non_null(strstr(err.message, "explanation: tree_interventional needs "));
    assert_int_equal(ig_prepared_count(fixture.set), 0);
    err = IG_ERR_INIT;
    assert_int_equal(ig_prepared_make(&explain, fixture.set, &small, fixture.engine, &saabas, &err),
                     IG_OK);
    assert_int_equal(ig_prepared_make(&explain, fixture.set, &large, fixture.engine, &tables, &err),
                     IG_EXHAUSTED);
    assert_true(ig_prepared_find(fixture.set, &small) != NULL);
    close_fixture(&fixture);
}

/* Readers walk while workers add; all of one key get the same. */
struct shared {
    struct fixture fixture;
};

static void *make_all(void *context)
{
    struct shared *shared = context;
    for (int i = 0; i < 20; i++) {
        struct ig_err err = IG_ERR_INIT;
        const struct ig_explain *explain = NULL;
        const struct ig_explain_spec spec = {.method = IG_EXPLAINER_SAABAS};
        struct ig_prepared_key key = key_of(IG_EXPLAINER_SAABAS, NULL);
        key.background[0] = (char)('a' + i);
        ig_prepared_make(&explain, shared->fixture.set, &key, shared->fixture.engine, &spec, &err);
        IG_ASSERT(explain && ig_prepared_find(shared->fixture.set, &key) == explain);
    }
    return NULL;
}

static void test_threads(void **state)
{
    static struct shared shared;
    uint64_t threads[3];
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    open_fixture(&shared.fixture, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ig_thread_start(&threads[i], "maker", make_all, &shared, &err), IG_OK);
    for (int i = 0; i < 3; i++) ig_thread_join(threads[i]);
    assert_int_equal(ig_prepared_count(shared.fixture.set), 20);
    close_fixture(&shared.fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_once_made),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
