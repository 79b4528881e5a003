/* SPDX-License-Identifier: Apache-2.0 */
/* Searches over models and versions against the same written out in C, page by page; prompts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/registered/registered_testing.h"
#include "services/tracking/tracking_search.h"

#include <stdio.h>
#include <stdlib.h>

enum { MODELS = 23, VERSIONS_MAX = 80 };

static struct ig_registered_testing world;
static struct ig_err err;

/* A row as it was made: of a model, or of a version of it. */
struct row {
    char name[16], source[24];
    int64_t version, updated_ms;
    const char *tag; /* of the key "k"; NULL: none */
};
static struct row models[MODELS], versions[VERSIONS_MAX];
static size_t versions_count;

static const char *const TAGS[] = {"a", "A", "ab", NULL};

static struct ig_tracking_pairs tags_of(const struct row *row)
{
    static struct ig_tracking_pair tag;
    tag = (struct ig_tracking_pair){IG_STR("k"), ig_str_view(row->tag)};
    return (struct ig_tracking_pairs){&tag, row->tag != NULL};
}

static enum ig_code set_times(struct ig_db_tx *tx, void *context, struct ig_err *error)
{
    (void)context;
    if (ig_db_exec(tx, "update registered_models set updated_ms = 100 + id * 7 % 5", NULL, 0,
                   error) == IG_OK)
        ig_db_exec(tx, "update model_versions set updated_ms = 100 + id * 7 % 5", NULL, 0, error);
    return error->code;
}

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    ig_registered_testing_open(&world);
    for (size_t i = 0; i < MODELS; i++) {
        struct row *model = &models[i];
        snprintf(model->name, sizeof model->name, "%s%zu", i % 3 ? "Model " : "m_",
                 i * 11 % MODELS);
        model->tag = TAGS[i % 4];
        model->updated_ms = 100 + (int64_t)(i + 1) * 7 % 5;
        ig_registered_testing_model(&world, model->name, tags_of(model));
        for (size_t v = 0; v < i % 4; v++) {
            struct row *version = &versions[versions_count++];
            *version = *model;
            snprintf(version->source, sizeof version->source, "s3://b/%zu", (i + v) % 5);
            version->tag = TAGS[(i + v) % 4];
            version->updated_ms = 100 + (int64_t)versions_count * 7 % 5;
            version->version = ig_registered_testing_version(&world, model->name, version->source,
                                                             tags_of(version));
        }
    }
    ASSERT_OK(ig_db_write(world.db, set_times, NULL, &err));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return ig_registered_testing_close(&world);
}

/* ---- the same in C ---- */

static bool all(const struct row *row)
{
    return row->name[0] != '\0';
}
static bool named_model(const struct row *row)
{
    return strncmp(row->name, "Model ", 6) == 0;
}
static bool tagged_a(const struct row *row)
{
    return row->tag && strcmp(row->tag, "a") == 0;
}
static bool tagged_not_a(const struct row *row)
{
    return row->tag && strcmp(row->tag, "a") != 0;
}
static bool tagged_like_a(const struct row *row)
{
    return row->tag && (row->tag[0] == 'a' || row->tag[0] == 'A') && !row->tag[1];
}
static bool second(const struct row *row)
{
    return row->version >= 2 && row->version != 3;
}
static bool from_three(const struct row *row)
{
    return strcmp(row->source, "s3://b/3") == 0 && named_model(row);
}

static int by_name(const struct row *a, const struct row *b)
{
    return strcmp(a->name, b->name);
}
static int by_update(const struct row *a, const struct row *b)
{
    return (a->updated_ms > b->updated_ms) - (a->updated_ms < b->updated_ms);
}
static int by_version(const struct row *a, const struct row *b)
{
    return (a->version > b->version) - (a->version < b->version);
}

struct order {
    const char *texts[2];
    int (*keys[3])(const struct row *a, const struct row *b);
    bool descending[3];
};
static const struct order *sorting;

static int compare(const void *a, const void *b)
{
    const struct row *x = *(const struct row *const *)a, *y = *(const struct row *const *)b;
    int sign = 0;
    for (int i = 0; i < 3 && !sign && sorting->keys[i]; i++) {
        sign = sorting->keys[i](x, y);
        if (sorting->descending[i]) sign = -sign;
    }
    return sign;
}

struct filter {
    const char *text;
    bool (*takes)(const struct row *row);
    bool of_models, of_versions;
};

static bool is_row(struct ig_str id, enum ig_tracking_kind kind, const struct row *row)
{
    struct ig_registered_model model;
    struct ig_registered_version version;
    int64_t number;
    assert_true(ig_str_to_i64(id, &number));
    if (kind == IG_TRACKING_MODELS) {
        ASSERT_OK(ig_registered_get_by_id(&model, world.db, number, &world.arena, &err));
        return ig_str_is(model.name, row->name);
    }
    ASSERT_OK(ig_registered_version_get_by_id(&version, world.db, number, &world.arena, &err));
    return ig_str_is(version.name, row->name) && version.version == row->version;
}

static void check(enum ig_tracking_kind kind, const struct filter *filter,
                  const struct order *order, int64_t page_rows)
{
    const struct row *rows = kind == IG_TRACKING_MODELS ? models : versions;
    const struct row *wanted[VERSIONS_MAX];
    size_t total = kind == IG_TRACKING_MODELS ? MODELS : versions_count, count = 0, at = 0;
    struct ig_str orders[2];
    struct ig_tracking_search search = {.kind = kind,
                                        .filter = ig_str_view(filter->text),
                                        .orders = orders,
                                        .view = IG_TRACKING_ALL,
                                        .results_max = page_rows};
    struct ig_tracking_found page;
    ig_arena_reset(&world.arena);
    for (; search.orders_count < 2 && order->texts[search.orders_count]; search.orders_count++)
        orders[search.orders_count] = ig_str_view(order->texts[search.orders_count]);
    for (size_t i = 0; i < total; i++)
        if (filter->takes(&rows[i])) wanted[count++] = &rows[i];
    sorting = order;
    qsort(wanted, count, sizeof wanted[0], compare);
    do {
        ASSERT_OK(ig_tracking_search(&page, world.db, &search, &world.arena, &err));
        for (size_t i = 0; i < page.count; i++, at++)
            if (at == count || !is_row(page.ids[i], kind, wanted[at]))
                fail_msg("%s by %s: row %zu of %zu", filter->text,
                         order->texts[0] ? order->texts[0] : "", at, count);
        search.token = page.token;
    } while (search.token.len);
    assert_int_equal(at, count);
}

static const struct filter FILTERS[] = {
    {"", all, true, true},
    {"name LIKE 'Model %'", named_model, true, true},
    {"name ILIKE 'mODEL%'", named_model, true, true},
    {"tags.k = 'a'", tagged_a, true, true},
    {"tags.k != 'a'", tagged_not_a, true, true},
    {"tags.`k` ILIKE 'A'", tagged_like_a, true, true},
    {"tags.`mlflow.prompt.is_prompt` != 'true'", all, true, true},
    {"version_number >= 2 AND version_number != '3'", second, false, true},
    {"source_path = 's3://b/3' AND name LIKE 'Model%'", from_three, false, true},
};

static void test_models(void **state)
{
    (void)state;
    static const struct order orders[] = {
        {{NULL}, {by_name}, {false}},
        {{"name DESC"}, {by_name}, {true}},
        {{"last_updated_timestamp DESC"}, {by_update, by_name}, {true, false}},
        {{"timestamp", "name DESC"}, {by_update, by_name}, {false, true}},
    };
    for (size_t i = 0; i < sizeof FILTERS / sizeof FILTERS[0]; i++)
        for (size_t j = 0; j < sizeof orders / sizeof orders[0] && FILTERS[i].of_models; j++)
            for (int64_t rows = 1; rows < MODELS; rows += 5)
                check(IG_TRACKING_MODELS, &FILTERS[i], &orders[j], rows);
}

static void test_versions(void **state)
{
    (void)state;
    static const struct order orders[] = {
        {{NULL}, {by_update, by_name, by_version}, {true, false, true}},
        {{"name DESC"}, {by_name, by_version}, {true, true}},
        {{"version_number ASC"}, {by_version, by_name}, {false, false}},
        {{"last_updated_timestamp", "version_number"}, {by_update, by_version, by_name}, {false}},
    };
    for (size_t i = 0; i < sizeof FILTERS / sizeof FILTERS[0]; i++)
        for (size_t j = 0; j < sizeof orders / sizeof orders[0] && FILTERS[i].of_versions; j++)
            for (int64_t rows = 1; rows < 40; rows += 13)
                check(IG_TRACKING_VERSIONS, &FILTERS[i], &orders[j], rows);
}

/* Rows that a filter finds. */
static size_t found(enum ig_tracking_kind kind, const char *filter)
{
    struct ig_tracking_found page = {.count = 0};
    const struct ig_tracking_search search = {
        .kind = kind, .filter = ig_str_view(filter), .view = IG_TRACKING_ALL, .results_max = 1000};
    ASSERT_OK(ig_tracking_search(&page, world.db, &search, &world.arena, &err));
    return page.count;
}

static void test_prompts(void **state)
{
    (void)state;
    const struct ig_tracking_pair tag = {IG_STR("mlflow.prompt.is_prompt"), IG_STR("true")};
    const struct ig_tracking_pairs tags = {&tag, 1};
    ig_registered_testing_model(&world, "greet", tags);
    ig_registered_testing_version(&world, "greet", "prompt-template", tags);
    ig_registered_testing_version(&world, "greet", "s3://b/0", (struct ig_tracking_pairs){NULL, 0});
    assert_int_equal(found(IG_TRACKING_MODELS, ""), MODELS);
    assert_int_equal(found(IG_TRACKING_MODELS, "tags.`mlflow.prompt.is_prompt` = 'false'"), MODELS);
    assert_int_equal(found(IG_TRACKING_MODELS, "tags.`mlflow.prompt.is_prompt` = 'true'"), 1);
    assert_int_equal(found(IG_TRACKING_MODELS, "tags.`mlflow.prompt.is_prompt` != 'false'"), 1);
    assert_int_equal(found(IG_TRACKING_MODELS, "name = 'greet'"), 0);
    assert_int_equal(found(IG_TRACKING_VERSIONS, "name = 'greet'"), 0);
    assert_int_equal(found(IG_TRACKING_VERSIONS, "tags.`mlflow.prompt.is_prompt` = 'true'"), 1);
    ASSERT_OK(ig_registered_delete(&world.by, IG_STR("greet"), &err));
}

/* Who deletes what a page held goes on with its token all the same. */
static void test_deleting_by_pages(void **state)
{
    (void)state;
    struct ig_str orders[] = {IG_STR("last_updated_timestamp DESC")};
    struct ig_tracking_search search = {.kind = IG_TRACKING_VERSIONS,
                                        .filter = IG_STR("name = 'd \xC3\xBC'"),
                                        .orders = orders,
                                        .orders_count = 1,
                                        .view = IG_TRACKING_ALL,
                                        .results_max = 3};
    struct ig_tracking_found page;
    struct ig_registered_version version;
    size_t seen = 0;
    char number[24];
    ig_registered_testing_model(&world, "d \xC3\xBC", (struct ig_tracking_pairs){NULL, 0});
    for (int i = 0; i < 8; i++)
        ig_registered_testing_version(&world, "d \xC3\xBC", "s3://b/m",
                                      (struct ig_tracking_pairs){NULL, 0});
    do {
        ASSERT_OK(ig_tracking_search(&page, world.db, &search, &world.arena, &err));
        seen += page.count;
        for (size_t i = 0; i < page.count; i++) {
            int64_t id;
            assert_true(ig_str_to_i64(page.ids[i], &id));
            ASSERT_OK(ig_registered_version_get_by_id(&version, world.db, id, &world.arena, &err));
            snprintf(number, sizeof number, "%lld", (long long)version.version);
            ASSERT_OK(
                ig_registered_version_delete(&world.by, version.name, ig_str_view(number), &err));
        }
        search.token = page.token;
    } while (search.token.len);
    assert_int_equal(seen, 8);
    ASSERT_OK(ig_registered_delete(&world.by, IG_STR("d \xC3\xBC"), &err));
}

static void test_wrong_tokens(void **state)
{
    (void)state;
    static const char *const marks[] = {"", ".", "x.6d.1", "1.6.1", "1.c3.1", "1.6d", "1.6d.1.1"};
    struct ig_tracking_search search = {.kind = IG_TRACKING_VERSIONS,
                                        .filter = IG_STR(""),
                                        .view = IG_TRACKING_ALL,
                                        .results_max = 3};
    struct ig_tracking_found page;
    char token[128];
    ASSERT_OK(ig_tracking_search(&page, world.db, &search, &world.arena, &err));
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        snprintf(token, sizeof token, "%s%s", page.digest, marks[i]);
        search.token = ig_str_view(token);
        ASSERT_FAILS(ig_tracking_search(&page, world.db, &search, &world.arena, &err), IG_INVALID,
                     "Invalid page token");
    }
    snprintf(token, sizeof token, "%s1.6d.1", page.digest);
    search.token = ig_str_view(token);
    ASSERT_OK(ig_tracking_search(&page, world.db, &search, &world.arena, &err));
    assert_int_equal(page.count, 0);
}

static void refuse(enum ig_tracking_kind kind, int64_t rows, const char *text)
{
    struct ig_tracking_found page;
    const struct ig_tracking_search search = {
        .kind = kind, .filter = IG_STR(""), .view = IG_TRACKING_ALL, .results_max = rows};
    ASSERT_FAILS(ig_tracking_search(&page, world.db, &search, &world.arena, &err), IG_INVALID,
                 text);
}

static void test_caps(void **state)
{
    (void)state;
    refuse(IG_TRACKING_MODELS, 1001, "It must be at most 1000");
    refuse(IG_TRACKING_VERSIONS, 200001, "It must be at most 200000");
    refuse(IG_TRACKING_VERSIONS, 0, "It must be a positive integer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models),       cmocka_unit_test(test_versions),
        cmocka_unit_test(test_prompts),      cmocka_unit_test(test_deleting_by_pages),
        cmocka_unit_test(test_wrong_tokens), cmocka_unit_test(test_caps),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
