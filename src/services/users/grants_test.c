/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/users/users_testing.h"

static struct ig_grant_ask about(const char *object, enum ig_permission given)
{
    return (struct ig_grant_ask){IG_OBJECT_EXPERIMENT, ig_str_view(object), IG_STR("ann"), given};
}

static void give(const char *object, enum ig_permission given)
{
    const struct ig_grant_ask ask = about(object, given);
    int64_t user = 0;
    ASSERT_OK(ig_grant_create(&user, users, &IG_PRINCIPAL_LOCAL, &ask, &err));
    assert_int_equal(user, ann);
}

static void test_change(void **state)
{
    (void)state;
    struct ig_grant_ask ask = about("7", IG_PERMISSION_EDIT);
    struct ig_grant grant;
    int64_t user;
    give("7", IG_PERMISSION_READ);
    expect(ig_grant_create(&user, users, &IG_PRINCIPAL_LOCAL, &ask, &err), IG_EXISTS);
    ASSERT_OK(ig_grant_update(users, &IG_PRINCIPAL_LOCAL, &ask, &err));
    ASSERT_OK(ig_grant_get(&grant, users, &ask, &err));
    assert_int_equal(grant.permission, IG_PERMISSION_EDIT);
    assert_int_equal(permission(ann, IG_OBJECT_EXPERIMENT, "7"), IG_PERMISSION_EDIT);
    assert_int_equal(permission(ann, IG_OBJECT_MODEL, "7"), IG_PERMISSION_READ);
    assert_int_equal(permission(root, IG_OBJECT_EXPERIMENT, "7"), IG_PERMISSION_READ);
    ASSERT_OK(ig_grant_delete(users, &IG_PRINCIPAL_LOCAL, &ask, &err));
    assert_int_equal(ig_grant_get(&grant, users, &ask, &err), IG_NOT_FOUND);
    assert_string_equal(err.message,
                        "Experiment permission with experiment_id=7 and username=ann not found");
    ig_err_clear(&err);
    expect(ig_grant_update(users, &IG_PRINCIPAL_LOCAL, &ask, &err), IG_NOT_FOUND);
    ask.user = IG_STR("bob");
    expect(ig_grant_create(&user, users, &IG_PRINCIPAL_LOCAL, &ask, &err), IG_NOT_FOUND);
}

/* The server's fallback is a floor, unless nothing is said to be all. */
static void test_fold(void **state)
{
    (void)state;
    static const struct {
        enum ig_permission fallback, given, has;
    } cases[] = {
        {IG_PERMISSION_READ, IG_PERMISSION_MANAGE, IG_PERMISSION_MANAGE},
        {IG_PERMISSION_EDIT, IG_PERMISSION_READ, IG_PERMISSION_EDIT},
        {IG_PERMISSION_READ, IG_PERMISSION_NONE, IG_PERMISSION_NONE},
        {IG_PERMISSION_READ, IG_PERMISSION_DENY, IG_PERMISSION_NONE},
        {IG_PERMISSION_NONE, IG_PERMISSION_USE, IG_PERMISSION_USE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ig_users_close(users);
        open_users(cases[i].fallback);
        const struct ig_grant_ask ask = about("7", cases[i].given);
        give("7", cases[i].given);
        if (permission(ann, IG_OBJECT_EXPERIMENT, "7") != cases[i].has) fail_msg("case %zu", i);
        if (permission(ann, IG_OBJECT_EXPERIMENT, "8") != cases[i].fallback)
            fail_msg("case %zu", i);
        ASSERT_OK(ig_grant_delete(users, &IG_PRINCIPAL_LOCAL, &ask, &err));
    }
}

static void test_all_of_a_kind(void **state)
{
    (void)state;
    give("*", IG_PERMISSION_EDIT);
    give("7", IG_PERMISSION_DENY);
    assert_int_equal(permission(ann, IG_OBJECT_EXPERIMENT, "8"), IG_PERMISSION_EDIT);
    assert_int_equal(permission(ann, IG_OBJECT_EXPERIMENT, "7"), IG_PERMISSION_NONE);
}

struct step {
    struct ig_principal who;
    int what;
};

static enum ig_code take_step(struct ig_db_tx *tx, void *context, struct ig_err *failure)
{
    const struct step *step = context;
    if (step->what == 0)
        return ig_grant_creator(tx, &step->who, IG_OBJECT_MODEL, IG_STR("m"), failure);
    if (step->what == 1)
        return ig_grants_rename(tx, IG_OBJECT_MODEL, IG_STR("m"), IG_STR("n"), failure);
    return ig_grants_drop(tx, IG_OBJECT_MODEL, IG_STR("n"), failure);
}

static void run_step(int what, int64_t user)
{
    struct step step = {{.user = user}, what};
    ASSERT_OK(ig_db_write(db, take_step, &step, &err));
}

/* As a model is made, renamed and deleted. */
static void test_with_the_object(void **state)
{
    (void)state;
    struct ig_grant_list list;
    run_step(0, 0); /* a key makes no one its owner */
    ASSERT_OK(ig_grant_list(&list, users, ann, &arena, &err));
    assert_int_equal(list.count, 0);
    run_step(0, ann);
    assert_int_equal(permission(ann, IG_OBJECT_MODEL, "m"), IG_PERMISSION_MANAGE);
    run_step(1, ann);
    assert_int_equal(permission(ann, IG_OBJECT_MODEL, "m"), IG_PERMISSION_READ);
    assert_int_equal(permission(ann, IG_OBJECT_MODEL, "n"), IG_PERMISSION_MANAGE);
    run_step(2, ann);
    assert_int_equal(permission(ann, IG_OBJECT_MODEL, "n"), IG_PERMISSION_READ);
    run_step(0, ann);
    ASSERT_OK(ig_user_delete(users, &IG_PRINCIPAL_LOCAL, IG_STR("ann"), &err));
    ASSERT_OK(ig_grant_list(&list, users, ann, &arena, &err));
    assert_int_equal(list.count, 0);
}

struct seen {
    struct ig_viewer viewer;
    enum ig_object kind;
    const char *name;
    bool seen;
};

static enum ig_code look(struct ig_db_tx *tx, void *context, struct ig_err *failure)
{
    struct seen *seen = context;
    struct ig_db_rows *rows = NULL;
    struct ig_buf sql;
    ig_buf_init(&sql, 16384);
    ig_buf_printf(&sql, "select 1 from (select '%s' as name) x where ", seen->name);
    ig_grants_condition(&sql, &seen->viewer, seen->kind, "x.name", 1);
    if (ig_db_query_once(&rows, tx, sql.ptr, IG_DB_VALUES(IG_DB_I(seen->viewer.user)), failure) ==
        IG_OK)
        seen->seen = ig_db_next(rows, failure);
    ig_db_finish(rows);
    ig_buf_deinit(&sql);
    return failure->code;
}

/* A search sees what a check would allow, whatever is said of the object. */
static void test_condition(void **state)
{
    (void)state;
    for (int fallback = IG_PERMISSION_NONE; fallback <= IG_PERMISSION_READ; fallback++) {
        ig_users_close(users);
        open_users((enum ig_permission)fallback);
        for (int given = -1; given < IG_PERMISSIONS_COUNT; given++) {
            struct seen seen = {{ann, (enum ig_permission)fallback}, IG_OBJECT_EXPERIMENT, "7", 0};
            if (given >= 0) give("7", (enum ig_permission)given);
            ASSERT_OK(ig_db_read(db, look, &seen, &err));
            bool allowed = permission(ann, IG_OBJECT_EXPERIMENT, "7") >= IG_PERMISSION_READ;
            if (seen.seen != allowed) fail_msg("fallback %d, given %d", fallback, given);
            const struct ig_grant_ask ask = about("7", IG_PERMISSION_READ);
            if (given >= 0) ASSERT_OK(ig_grant_delete(users, &IG_PRINCIPAL_LOCAL, &ask, &err));
        }
    }
}

static enum ig_code insert_models(struct ig_db_tx *tx, void *context, struct ig_err *failure)
{
    (void)context;
    if (ig_db_exec(tx,
                   "insert into registered_models(id, name, description, created_ms, updated_ms,"
                   " last_version) values(1, 'model', '', 0, 0, 0), (2, 'prompt', '', 0, 0, 0)",
                   NULL, 0, failure) != IG_OK)
        return failure->code;
    return ig_db_exec(tx,
                      "insert into registered_tags(model, key, value)"
                      " values(1, 'mlflow.prompt.is_prompt', 'no'),"
                      " (2, 'mlflow.prompt.is_prompt', 'True')",
                      NULL, 0, failure);
}

/* What is said of prompts goes for them alone, what is said of models for prompts as well. */
static void test_prompts(void **state)
{
    (void)state;
    static const struct {
        enum ig_object said;
        const char *of, *object;
        bool counts;
    } cases[] = {
        {IG_OBJECT_PROMPT, "prompt", "prompt", true}, {IG_OBJECT_PROMPT, "*", "prompt", true},
        {IG_OBJECT_PROMPT, "*", "model", false},      {IG_OBJECT_PROMPT, "model", "model", false},
        {IG_OBJECT_MODEL, "prompt", "prompt", true},  {IG_OBJECT_MODEL, "*", "model", true},
        {IG_OBJECT_MODEL, "model", "prompt", false},  {IG_OBJECT_PROMPT, "other", "prompt", false},
    };
    ASSERT_OK(ig_db_write(db, insert_models, NULL, &err));
    ig_users_close(users);
    open_users(IG_PERMISSION_NONE);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct ig_grant_ask ask = {cases[i].said, ig_str_view(cases[i].of), IG_STR("ann"),
                                         IG_PERMISSION_EDIT};
        struct seen seen = {{ann, IG_PERMISSION_NONE}, IG_OBJECT_MODEL, cases[i].object, 0};
        int64_t user;
        ASSERT_OK(ig_grant_create(&user, users, &IG_PRINCIPAL_LOCAL, &ask, &err));
        bool has = permission(ann, IG_OBJECT_MODEL, cases[i].object) == IG_PERMISSION_EDIT;
        ASSERT_OK(ig_db_read(db, look, &seen, &err));
        if (has != cases[i].counts || seen.seen != has) fail_msg("case %zu", i);
        ASSERT_OK(ig_grant_delete(users, &IG_PRINCIPAL_LOCAL, &ask, &err));
    }
    const struct ig_grant_ask owner = {IG_OBJECT_MODEL, IG_STR("prompt"), IG_STR("ann"),
                                       IG_PERMISSION_MANAGE};
    int64_t user;
    ASSERT_OK(ig_grant_create(&user, users, &IG_PRINCIPAL_LOCAL, &owner, &err));
    assert_int_equal(permission(ann, IG_OBJECT_PROMPT, "prompt"), IG_PERMISSION_MANAGE);
    assert_int_equal(permission(ann, IG_OBJECT_PROMPT, "*"), IG_PERMISSION_NONE);
}

static void test_words(void **state)
{
    (void)state;
    enum ig_permission given;
    enum ig_object kind;
    for (int i = 0; i < IG_PERMISSIONS_COUNT; i++) {
        ASSERT_OK(ig_permission_parse(
            &given, ig_str_view(ig_permission_name((enum ig_permission)i)), &err));
        assert_int_equal(given, i);
    }
    for (int i = 0; i < IG_OBJECTS_COUNT; i++) {
        ASSERT_OK(ig_object_parse(&kind, ig_str_view(ig_object_word((enum ig_object)i)), &err));
        assert_int_equal(kind, i);
    }
    expect(ig_permission_parse(&given, IG_STR("read"), &err), IG_INVALID);
    expect(ig_object_parse(&kind, IG_STR("run"), &err), IG_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_change, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fold, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_of_a_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_with_the_object, setup, teardown),
        cmocka_unit_test_setup_teardown(test_condition, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prompts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_words, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
