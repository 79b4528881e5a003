/* SPDX-License-Identifier: Apache-2.0 */
/* Models, versions, aliases, stages, tags; the words of refusals; what is left of deleted things.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/approval/approval.h"
#include "services/registered/registered_testing.h"

#include <stdio.h>

static struct ig_registered_testing world;
static struct ig_err err;

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    return ig_registered_testing_open(&world);
}

static int teardown(void **state)
{
    (void)state;
    return ig_registered_testing_close(&world);
}

static void make(const char *name)
{
    ig_registered_testing_model(&world, name, (struct ig_tracking_pairs){NULL, 0});
}

static int64_t add(const char *name)
{
    return ig_registered_testing_version(&world, name, "s3://b/m",
                                         (struct ig_tracking_pairs){NULL, 0});
}

static struct ig_registered_model get(const char *name)
{
    struct ig_registered_model model = {0};
    ASSERT_OK(ig_registered_get(&model, world.db, ig_str_view(name), &world.arena, &err));
    return model;
}

static struct ig_registered_version version(const char *name, const char *number)
{
    struct ig_registered_version found = {0};
    ASSERT_OK(ig_registered_version_get(&found, world.db, ig_str_view(name), ig_str_view(number),
                                        &world.arena, &err));
    return found;
}

static enum ig_code create(const char *name, const char *key, const char *value)
{
    const struct ig_tracking_pair tag = {ig_str_view(key), ig_str_view(value)};
    const struct ig_registered_spec spec = {ig_str_view(name), IG_STR("d"), {&tag, 1}};
    struct ig_registered_model model;
    return ig_registered_create(&model, &world.by, &spec, &err);
}

static void test_models(void **state)
{
    (void)state;
    struct ig_registered_model model;
    ASSERT_OK(create("a b", "k", "v"));
    model = get("a b");
    assert_true(ig_str_is(model.description, "d") && model.created_ms > 0);
    assert_true(model.tags.count == 1 && ig_str_is(model.tags.items[0].value, "v"));
    assert_int_equal(model.latest.count, 0);
    ASSERT_FAILS(create("a b", "k", "v"), IG_EXISTS, "Registered Model (name=a b) already exists.");
    ASSERT_FAILS(create("a b", "mlflow.prompt.is_prompt", "True"), IG_EXISTS,
                 "Tried to create a prompt with name 'a b', but the name is already taken by a "
                 "registered model.");
    ASSERT_OK(create("p", "mlflow.prompt.is_prompt", "true"));
    ASSERT_FAILS(create("p", "mlflow.prompt.is_prompt", "true"), IG_EXISTS,
                 "Prompt (name=p) already exists.");
    ASSERT_OK(ig_registered_rename(&model, &world.by, IG_STR("a b"), IG_STR("c"), &err));
    assert_true(ig_str_is(model.name, "c"));
    ASSERT_FAILS(ig_registered_rename(&model, &world.by, IG_STR("c"), IG_STR("p"), &err), IG_EXISTS,
                 "Registered Model (name=p) already exists.");
    ASSERT_OK(ig_registered_describe(&model, &world.by, IG_STR("c"), IG_STR("new"), &err));
    assert_true(ig_str_is(get("c").description, "new"));
    ASSERT_FAILS(ig_registered_get(&model, world.db, IG_STR("a b"), &world.arena, &err),
                 IG_NOT_FOUND, "Registered Model with name=a b not found");
    ASSERT_OK(ig_registered_tag(&world.by, IG_STR("c"),
                                (struct ig_tracking_pair){IG_STR("k"), IG_STR("w")}, &err));
    assert_true(ig_str_is(get("c").tags.items[0].value, "w"));
    ASSERT_OK(ig_registered_untag(&world.by, IG_STR("c"), IG_STR("k"), &err));
    ASSERT_OK(ig_registered_untag(&world.by, IG_STR("c"), IG_STR("k"), &err));
    assert_int_equal(get("c").tags.count, 0);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
    } bad[] = {
        {"", "Missing value for required parameter 'name'."},
        {"  ", "Missing value for required parameter 'name'."},
        {"a/b", "Invalid model name 'a/b'. Names cannot contain '/' or ':'."},
        {"a:b", "Invalid model name 'a:b'. Names cannot contain '/' or ':'."},
        {".", "must not resolve to other names"},
        {"..x", "must not resolve to other names"},
    };
    char longest[IG_REGISTERED_NAME_MAX + 2];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ASSERT_FAILS(create(bad[i].name, "k", "v"), IG_INVALID, bad[i].text);
    ASSERT_FAILS(create("m", "a b?", "v"), IG_INVALID, "parameter 'key' supplied");
    memset(longest, 'x', sizeof longest - 1);
    longest[IG_REGISTERED_NAME_MAX + 1] = '\0';
    ASSERT_FAILS(create(longest, "k", "v"), IG_INVALID, "maximum length of 256");
    longest[IG_REGISTERED_NAME_MAX] = '\0';
    ASSERT_OK(create(longest, "k", "v"));
    ASSERT_OK(create("\xC3\xBC {x} 'q' \"", "k", "v"));
}

static void test_source_pattern(void **state)
{
    (void)state;
    struct ig_source_pattern *pattern = NULL;
    struct ig_registered_version found;
    const struct ig_registered_version_spec spec = {.name = IG_STR("m"),
                                                    .source = IG_STR("s3://b/m"),
                                                    .description = IG_STR(""),
                                                    .run_link = IG_STR("")};
    make("m");
    ASSERT_OK(ig_source_pattern_new(&pattern, "^mlflow-artifacts:/", &err));
    world.by.sources = pattern;
    ASSERT_FAILS(ig_registered_version_create(&found, &world.by, &spec, &err), IG_INVALID,
                 "Invalid model version source: 's3://b/m'.");
    ig_source_pattern_free(pattern);
    ASSERT_OK(ig_source_pattern_new(&pattern, "^s3://b/", &err));
    world.by.sources = pattern;
    ASSERT_OK(ig_registered_version_create(&found, &world.by, &spec, &err));
    ig_source_pattern_free(pattern);
}

static void test_versions(void **state)
{
    (void)state;
    struct ig_registered_version found;
    make("m");
    assert_int_equal(add("m"), 1);
    assert_int_equal(add("m"), 2);
    found = version("m", "2");
    assert_true(ig_str_is(found.stage, "None") && ig_str_is(found.source, "s3://b/m"));
    assert_true(ig_str_is(found.location, "s3://b/m"));
    ASSERT_OK(ig_registered_version_describe(&found, &world.by, IG_STR("m"), IG_STR("2"),
                                             IG_STR("two"), &err));
    ASSERT_OK(ig_registered_version_tag(&world.by, IG_STR("m"), IG_STR("2"),
                                        (struct ig_tracking_pair){IG_STR("k"), IG_STR("v")}, &err));
    found = version("m", "2");
    assert_true(ig_str_is(found.description, "two") && found.tags.count == 1);
    ASSERT_OK(ig_registered_version_untag(&world.by, IG_STR("m"), IG_STR("2"), IG_STR("k"), &err));
    assert_int_equal(version("m", "2").tags.count, 0);
    ASSERT_OK(ig_registered_version_delete(&world.by, IG_STR("m"), IG_STR("2"), &err));
    ASSERT_FAILS(
        ig_registered_version_get(&found, world.db, IG_STR("m"), IG_STR("2"), &world.arena, &err),
        IG_NOT_FOUND, "Model Version (name=m, version=2) not found");
    ASSERT_FAILS(
        ig_registered_version_get(&found, world.db, IG_STR("m"), IG_STR("x"), &world.arena, &err),
        IG_INVALID, "Parameter 'version' must be an integer, got 'x'.");
    assert_int_equal(add("m"), 3); /* a number never comes again */
}

static void test_aliases(void **state)
{
    (void)state;
    struct ig_registered_version found;
    static const struct {
        const char *alias, *text;
    } bad[] = {
        {"", "Registered model alias name cannot be empty."},
        {"a b", "Invalid alias name: 'a b'. Names may only contain alphanumerics"},
        {"LATEST", "'latest' alias name (case insensitive) is reserved."},
        {"V12", "Version alias name 'V12' is reserved."},
    };
    make("m");
    add("m");
    add("m");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ASSERT_FAILS(ig_registered_alias(&world.by, IG_STR("m"), ig_str_view(bad[i].alias),
                                         IG_STR("1"), &err),
                     IG_INVALID, bad[i].text);
    ASSERT_OK(ig_registered_alias(&world.by, IG_STR("m"), IG_STR("v"), IG_STR("1"), &err));
    ASSERT_OK(ig_registered_alias(&world.by, IG_STR("m"), IG_STR("best"), IG_STR("1"), &err));
    ASSERT_OK(ig_registered_alias(&world.by, IG_STR("m"), IG_STR("best"), IG_STR("2"), &err));
    ASSERT_FAILS(ig_registered_alias(&world.by, IG_STR("m"), IG_STR("best"), IG_STR("3"), &err),
                 IG_NOT_FOUND, "Model Version (name=m, version=3) not found");
    ASSERT_OK(ig_registered_version_find(&found, world.db, IG_STR("m"), IG_STR("best"),
                                         &world.arena, &err));
    assert_true(found.version == 2 && found.aliases_count == 1);
    ASSERT_OK(ig_registered_version_find(&found, world.db, IG_STR("m"), IG_STR("Latest"),
                                         &world.arena, &err));
    assert_int_equal(found.version, 2);
    assert_int_equal(get("m").aliases.count, 2);
    assert_true(ig_str_is(get("m").aliases.items[0].value, "2"));
    ASSERT_OK(ig_registered_version_delete(&world.by, IG_STR("m"), IG_STR("2"), &err));
    ASSERT_FAILS(ig_registered_version_find(&found, world.db, IG_STR("m"), IG_STR("best"),
                                            &world.arena, &err),
                 IG_INVALID, "Registered model alias best not found.");
    ASSERT_OK(ig_registered_unalias(&world.by, IG_STR("m"), IG_STR("v"), &err));
    ASSERT_OK(ig_registered_unalias(&world.by, IG_STR("m"), IG_STR("v"), &err));
    assert_int_equal(get("m").aliases.count, 0);
    make("empty");
    ASSERT_FAILS(ig_registered_version_find(&found, world.db, IG_STR("empty"), IG_STR("latest"),
                                            &world.arena, &err),
                 IG_NOT_FOUND, "Latest version not found for model empty.");
}

static enum ig_code move(const char *number, const char *stage, bool archive)
{
    struct ig_registered_version found;
    const struct ig_registered_move wanted = {IG_STR("m"), ig_str_view(number), ig_str_view(stage),
                                              archive};
    return ig_registered_version_move(&found, &world.by, &wanted, &err);
}

/* "1:Production 3:None" */
static const char *latest(const char *stage)
{
    static char text[256];
    struct ig_str stages[] = {ig_str_view(stage)};
    struct ig_registered_versions found = {NULL, 0};
    size_t used = 0;
    ASSERT_OK(ig_registered_latest(&found, world.db, IG_STR("m"),
                                   (struct ig_registered_stages){stages, *stage ? 1 : 0},
                                   &world.arena, &err));
    text[0] = '\0';
    for (size_t i = 0; i < found.count; i++)
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%lld:%.*s ",
                             (long long)found.items[i].version, IG_STR_ARGS(found.items[i].stage));
    return text;
}

static void test_stages(void **state)
{
    (void)state;
    make("m");
    for (int i = 0; i < 4; i++) add("m");
    assert_string_equal(latest(""), "4:None ");
    ASSERT_OK(move("1", "PRODUCTION", false));
    ASSERT_OK(move("2", "Production", false));
    assert_string_equal(latest(""), "4:None 2:Production ");
    ASSERT_OK(move("3", "production", true));
    assert_string_equal(latest(""), "4:None 3:Production 2:Archived ");
    assert_string_equal(latest("archived"), "2:Archived ");
    assert_string_equal(latest("Staging"), "");
    assert_true(ig_str_is(version("m", "1").stage, "Archived"));
    ASSERT_OK(move("3", "Production", true)); /* leaves itself where it is */
    assert_true(ig_str_is(version("m", "3").stage, "Production"));
    ASSERT_FAILS(move("3", "None", true), IG_INVALID, "'None' is not an Active stage");
    ASSERT_FAILS(move("3", "nope", false), IG_INVALID, "Invalid Model Version stage: nope");
    ASSERT_FAILS(move("9", "Staging", true), IG_NOT_FOUND, "version=9");
}

static void test_stages_with_gates(void **state)
{
    (void)state;
    static const struct ig_gate_check check = {.name = {"fair", 4}, .kind = IG_GATE_REPORTED};
    const struct ig_gate gate = {
        .alias = IG_STR("stage:production"), .checks = &check, .checks_count = 1};
    const struct ig_gate_report passed = {.check = IG_STR("fair"), .passed = true};
    make("m");
    add("m");
    ASSERT_OK(ig_gate_set(world.db, world.by.who, IG_STR("m"), &gate, &err));
    ASSERT_OK(move("1", "Staging", false));
    ASSERT_FAILS(move("1", "Production", true), IG_CONFLICT, "stage 'production' of model 'm'");
    assert_true(ig_str_is(version("m", "1").stage, "Staging"));
    ASSERT_OK(ig_gate_report(world.db, world.by.who, (struct ig_gate_subject){IG_STR("m"), 1},
                             &passed, &err));
    ASSERT_OK(move("1", "Production", true));
}

static void test_deletion(void **state)
{
    (void)state;
    struct ig_registered_model model;
    const struct ig_tracking_pair tag = {IG_STR("k"), IG_STR("v")};
    ig_registered_testing_model(&world, "m", (struct ig_tracking_pairs){&tag, 1});
    ig_registered_testing_version(&world, "m", "s3://b/x", (struct ig_tracking_pairs){&tag, 1});
    ASSERT_OK(ig_registered_alias(&world.by, IG_STR("m"), IG_STR("a"), IG_STR("1"), &err));
    ASSERT_OK(ig_registered_delete(&world.by, IG_STR("m"), &err));
    ASSERT_FAILS(ig_registered_get(&model, world.db, IG_STR("m"), &world.arena, &err), IG_NOT_FOUND,
                 "not found");
    ASSERT_FAILS(ig_registered_delete(&world.by, IG_STR("m"), &err), IG_NOT_FOUND, "not found");
    make("m");
    model = get("m");
    assert_true(model.tags.count + model.aliases.count + model.latest.count == 0);
    assert_int_equal(add("m"), 1);
}

static enum ig_code count_audit(struct ig_db_tx *tx, void *context, struct ig_err *error)
{
    struct ig_db_rows *rows = NULL;
    struct ig_buf *out = context;
    ig_db_query(&rows, tx, "select action, object from audit order by seq", NULL, 0, error);
    while (error->code == IG_OK && ig_db_next(rows, error))
        ig_buf_printf(out, "%.*s %.*s\n", IG_STR_ARGS(ig_db_text(rows, 0)),
                      IG_STR_ARGS(ig_db_text(rows, 1)));
    ig_db_finish(rows);
    return error->code;
}

/* Whatever store call fails, a version is there with its tags, number and line in the trail, or
 * nothing of it is. */
static void test_nth_call_fails(void **state)
{
    (void)state;
    const struct ig_tracking_pair tag = {IG_STR("k"), IG_STR("v")};
    const struct ig_registered_version_spec spec = {.name = IG_STR("m"),
                                                    .source = IG_STR("models:/m/1"),
                                                    .description = IG_STR(""),
                                                    .run_link = IG_STR(""),
                                                    .tags = {&tag, 1}};
    struct ig_registered_version found;
    struct ig_buf trail;
    bool refused = true;
    make("m");
    add("m");
    for (uint64_t n = 1; refused; n++) {
        assert_true(n < 200);
        ig_err_clear(&err);
        ig_db_fail_after(n);
        enum ig_code code = ig_registered_version_create(&found, &world.by, &spec, &err);
        refused = ig_db_failed();
        ig_db_fail_after(0);
        assert_int_equal(code, refused ? IG_IO : IG_OK);
        ig_err_clear(&err);
        assert_int_equal(get("m").latest.items[0].version, refused ? 1 : 2);
    }
    assert_int_equal(found.version, 2);
    ig_buf_init(&trail, 4096);
    ASSERT_OK(ig_db_read(world.db, count_audit, &trail, &err));
    assert_string_equal(trail.ptr, "registered_model.create m\nmodel_version.create m/1\n"
                                   "model_version.create m/2\n");
    ig_buf_deinit(&trail);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_models),
        CASE(test_names),
        CASE(test_versions),
        CASE(test_source_pattern),
        CASE(test_aliases),
        CASE(test_stages),
        CASE(test_stages_with_gates),
        CASE(test_deletion),
        CASE(test_nth_call_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
