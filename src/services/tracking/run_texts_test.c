/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/tracking/run_texts.h"
#include "stores/db_testing.h"
#include "stores/temp_testing.h"

static const struct ig_principal *const who = &IG_PRINCIPAL_LOCAL;

struct world {
    struct ig_temp temp;
    struct ig_db *db;
    struct ig_tracking *tracking;
    struct ig_arena arena;
    int64_t experiment;
    struct ig_str run, other;
};

static struct ig_str make_run(struct world *world)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_run run;
    const struct ig_tracking_run_spec spec = {.experiment = world->experiment, .start_ms = 5};
    ASSERT_OK(ig_tracking_run_create(&run, world->tracking, &spec, &world->arena, &err));
    return run.id;
}

static int setup(void **state)
{
    static struct world world;
    struct ig_err err = IG_ERR_INIT;
    world.temp = ig_temp_make();
    struct ig_db_options db = ig_db_testing_options(world.temp.fd);
    const struct ig_tracking_experiment_spec spec = {.name = IG_STR("e")};
    ASSERT_OK(ig_db_open(&world.db, &db, &err));
    ASSERT_OK(ig_tracking_open(&world.tracking, world.db, &err));
    ig_arena_init(&world.arena, 64 << 10, 64 << 20);
    ASSERT_OK(ig_tracking_experiment_create(&world.experiment, world.tracking, who, &spec, &err));
    world.run = make_run(&world);
    world.other = make_run(&world);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    ig_tracking_close(world->tracking);
    ig_db_close(world->db);
    ig_arena_deinit(&world->arena);
    ig_temp_remove(&world->temp);
    return 0;
}

static enum ig_code log_tag(struct world *world, struct ig_err *err)
{
    const struct ig_tracking_pair tag = {IG_STR("t"), IG_STR("v")};
    const struct ig_tracking_batch batch = {.tags = {&tag, 1}};
    return ig_tracking_log(world->tracking, world->run, &batch, err);
}

static enum ig_code untag(struct world *world, struct ig_err *err)
{
    return ig_tracking_run_untag(world->tracking, world->run, IG_STR("t"), err);
}

static enum ig_code update(struct world *world, struct ig_err *err)
{
    struct ig_tracking_run run;
    const struct ig_tracking_run_update update = {
        .id = world->run, .status = IG_TRACKING_FINISHED, .end_ms = 7};
    return ig_tracking_run_update(&run, world->tracking, &update, &world->arena, err);
}

static enum ig_code log_input(struct world *world, struct ig_err *err)
{
    const struct ig_tracking_dataset dataset = {.name = IG_STR("d"),
                                                .digest = IG_STR("1"),
                                                .source_type = IG_STR("local"),
                                                .source = IG_STR("x")};
    return ig_tracking_inputs_log(world->tracking, world->run,
                                  (struct ig_tracking_datasets){&dataset, 1},
                                  (struct ig_tracking_model_uses){0}, err);
}

static enum ig_code log_output(struct world *world, struct ig_err *err)
{
    const struct ig_tracking_model_use use = {.model_id = IG_STR("m-1"), .step = 1};
    return ig_tracking_outputs_log(world->tracking, world->run,
                                   (struct ig_tracking_model_uses){&use, 1}, err);
}

static enum ig_code note_model(struct world *world, struct ig_err *err)
{
    return ig_tracking_model_note(
        world->tracking, world->run,
        IG_STR("{\"run_id\":\"r\",\"artifact_path\":\"m\",\"flavors\":{\"onnx\":{}},"
               "\"utc_time_created\":\"now\"}"),
        err);
}

static enum ig_code delete_run(struct world *world, struct ig_err *err)
{
    return ig_tracking_run_delete(world->tracking, who, world->run, err);
}

static enum ig_code restore_run(struct world *world, struct ig_err *err)
{
    return ig_tracking_run_restore(world->tracking, who, world->run, err);
}

static enum ig_code delete_experiment(struct world *world, struct ig_err *err)
{
    return ig_tracking_experiment_delete(world->tracking, who, world->experiment, err);
}

static enum ig_code restore_experiment(struct world *world, struct ig_err *err)
{
    return ig_tracking_experiment_restore(world->tracking, who, world->experiment, err);
}

static void keep(struct world *world, struct ig_str run, struct ig_str text)
{
    struct ig_run_text_key key;
    ig_run_text_find(&key, world->tracking, run, &world->arena);
    ig_run_text_keep(world->tracking, &key, text);
    struct ig_str found = ig_run_text_find(&key, world->tracking, run, &world->arena);
    assert_true(ig_str_eq(found, text));
}

static void test_every_change_ends_a_text(void **state)
{
    static const struct {
        enum ig_code (*change)(struct world *, struct ig_err *);
        bool all; /* runs of the experiment */
    } CHANGES[] = {{log_tag, false},          {untag, false},       {update, false},
                   {log_input, false},        {log_output, false},  {note_model, false},
                   {delete_run, false},       {restore_run, false}, {delete_experiment, true},
                   {restore_experiment, true}};
    struct world *world = *state;
    struct ig_run_text_key key;
    for (size_t i = 0; i < sizeof CHANGES / sizeof *CHANGES; i++) {
        struct ig_err err = IG_ERR_INIT;
        keep(world, world->run, IG_STR("a text"));
        keep(world, world->other, IG_STR("another"));
        ASSERT_OK(CHANGES[i].change(world, &err));
        assert_null(ig_run_text_find(&key, world->tracking, world->run, &world->arena).ptr);
        struct ig_str other = ig_run_text_find(&key, world->tracking, world->other, &world->arena);
        assert_int_equal(!other.ptr, CHANGES[i].all);
    }
}

/* A reader that was slower than a writer keeps what nobody finds. */
static void test_late_texts(void **state)
{
    struct world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_run_text_key before, after;
    assert_null(ig_run_text_find(&before, world->tracking, world->run, &world->arena).ptr);
    ASSERT_OK(log_tag(world, &err));
    ig_run_text_keep(world->tracking, &before, IG_STR("old"));
    assert_null(ig_run_text_find(&after, world->tracking, world->run, &world->arena).ptr);
    ig_run_text_keep(world->tracking, &after, IG_STR("new"));
    struct ig_str found = ig_run_text_find(&after, world->tracking, world->run, &world->arena);
    assert_true(ig_str_is(found, "new"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_change_ends_a_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_texts, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
