/* SPDX-License-Identifier: Apache-2.0 */
/* Cards: what is told of a version, and that nothing that a user wrote becomes markup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/approval/approval.h"
#include "services/lineage/card.h"
#include "services/registered/registered.h"
#include "services/registry/world_testing.h"

#include <stdio.h>

static struct ig_world world;
static struct ig_tracking *tracking;
static struct ig_backgrounds *backgrounds;
static struct ig_err err;
static struct ig_buf card;

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    ig_world_open(&world);
    ASSERT_OK(ig_tracking_open(&tracking, world.db, &err));
    ASSERT_OK(ig_backgrounds_open(&backgrounds, world.db, world.blobs, world.registry, &err));
    ig_buf_init(&card, IG_CARD_MAX_BYTES);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_buf_deinit(&card);
    ig_backgrounds_close(backgrounds);
    ig_tracking_close(tracking);
    ig_world_close(&world);
    return 0;
}

static enum ig_code render(const char *model, int64_t version)
{
    const struct ig_card_sources sources = {.db = world.db,
                                            .blobs = world.blobs,
                                            .registry = world.registry,
                                            .tracking = tracking,
                                            .backgrounds = backgrounds};
    ig_buf_reset(&card);
    return ig_card_write(&card, &sources, ig_str_view(model), version, &world.arena, &err);
}

static void expect(const char *text)
{
    if (!strstr(card.ptr, text)) fail_msg("no '%s' in:\n%s", text, card.ptr);
}

static void test_escape(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"plain text, 5 % = 1/20", "plain text, 5 % = 1/20"},
        {"<script>alert(1)</script>", "&lt;script&gt;alert\\(1\\)&lt;/script&gt;"},
        {"[a](javascript:b)", "\\[a\\]\\(javascript\\:b\\)"},
        {"a|b`c*d_e~f", "a\\|b\\`c\\*d\\_e\\~f"},
        {"# h\n- x\n1. y", "\\# h \\- x 1\\. y"},
        {"&lt; \"q\"", "&amp;lt\\; &quot;q&quot;"},
        {"https://e.x www.e.x a@b", "https\\://e\\.x www\\.e\\.x a\\@b"},
        {"\xc3\xbc \xe2\x80\xae x \xff", "\xc3\xbc  x "},
        {"back\\slash", "back\\\\slash"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ig_buf_reset(&card);
        ig_card_escape(&card, ig_str_view(cases[i][0]), 1000);
        assert_string_equal(card.ptr, cases[i][1]);
    }
    ig_buf_reset(&card);
    ig_card_escape(&card, IG_STR("abcdef"), 3);
    assert_string_equal(card.ptr, "abc...");
}

static void test_own_version(void **state)
{
    (void)state;
    const struct ig_gate_check check = {.name = IG_STR("fairness"), .kind = IG_GATE_REPORTED};
    const struct ig_gate gate = {.alias = IG_STR("champion"), .checks = &check, .checks_count = 1};
    const struct ig_gate_report found = {
        .check = IG_STR("fairness"), .detail = IG_STR("gap of <b>"), .passed = true};
    ig_world_register(&world, "m", -1);
    ASSERT_OK(ig_gate_set(world.db, &IG_PRINCIPAL_LOCAL, IG_STR("m"), &gate, &err));
    ASSERT_OK(ig_gate_report(world.db, &IG_PRINCIPAL_LOCAL,
                             (struct ig_gate_subject){IG_STR("m"), 1}, &found, &err));
    ASSERT_OK(render("m", 1));
    expect("# m, version 1\n");
    expect("| format | lightgbm |");
    expect("## Inputs\n\n1 features.\n");
    expect("| size | numeric | may be missing |");
    expect("| task | binary classification |");
    expect("### Alias champion: open");
    expect("| fairness | passed | gap of &lt;b&gt; | local |");
    ASSERT_FAILS(render("m", 2), IG_NOT_FOUND, "model 'm' has no version 2");
    ASSERT_FAILS(render("none", 1), IG_NOT_FOUND, "model 'none' has no version 1");
}

static void test_registered_version(void **state)
{
    (void)state;
    const struct ig_registered_by by = {
        .db = world.db, .who = &IG_PRINCIPAL_LOCAL, .arena = &world.arena};
    const struct ig_tracking_pair tag = {IG_STR("note_1"), IG_STR("<i>a|b")};
    const struct ig_tracking_metric metric = {
        .key = IG_STR("auc"), .value = 0.75, .at_ms = 1, .step = 3};
    const struct ig_tracking_pair param = {IG_STR("depth"), IG_STR("[6](x)")};
    const struct ig_tracking_batch batch = {.metrics = {&metric, 1}, .params = {&param, 1}};
    const struct ig_tracking_dataset dataset = {.name = IG_STR("train"),
                                                .digest = IG_STR("abc"),
                                                .source_type = IG_STR("local"),
                                                .source = IG_STR("a.csv")};
    const struct ig_tracking_run_spec run_spec = {.name = IG_STR("r"), .user_id = IG_STR("u")};
    struct ig_tracking_run run = {.id = IG_STR("")};
    struct ig_registered_model model;
    struct ig_registered_version version;
    ASSERT_OK(ig_tracking_run_create(&run, tracking, &run_spec, &world.arena, &err));
    ASSERT_OK(ig_tracking_log(tracking, run.id, &batch, &err));
    ASSERT_OK(ig_tracking_inputs_log(tracking, run.id, (struct ig_tracking_datasets){&dataset, 1},
                                     (struct ig_tracking_model_uses){NULL, 0}, &err));
    const struct ig_registered_spec spec = {IG_STR("a b"), IG_STR(""), {NULL, 0}};
    ASSERT_OK(ig_registered_create(&model, &by, &spec, &err));
    const struct ig_registered_version_spec version_spec = {.name = IG_STR("a b"),
                                                            .source = IG_STR("s3://b/m"),
                                                            .description = IG_STR("# Title\n<x>"),
                                                            .run_link = IG_STR(""),
                                                            .run = run.id,
                                                            .tags = {&tag, 1}};
    ASSERT_OK(ig_registered_version_create(&version, &by, &version_spec, &err));
    ASSERT_OK(render("a b", 1));
    expect("# a b, version 1\n\n\\# Title &lt;x&gt;\n");
    expect("| source | s3\\://b/m |");
    expect("| note\\_1 | &lt;i&gt;a\\|b |");
    expect("| run's name | r |");
    expect("| depth | \\[6\\]\\(x\\) |");
    expect("| auc | 0.75 | 3 |");
    expect("| train | abc | a\\.csv |");
    assert_null(strstr(card.ptr, "## Inputs"));
    assert_null(strstr(card.ptr, "<"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_escape), CASE(test_own_version),
                                       CASE(test_registered_version)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
