/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/users/roles.h"
#include "services/users/users_testing.h"

static struct ig_role make_role(const char *workspace, const char *name)
{
    struct ig_role role;
    const struct ig_role_spec spec = {.name = ig_str_view(name),
                                      .workspace = ig_str_view(workspace)};
    ASSERT_OK(ig_role_create(&role, users, &IG_PRINCIPAL_LOCAL, &spec, &err));
    return role;
}

static struct ig_role_grant add(const struct ig_role *role, enum ig_object kind, const char *object,
                                enum ig_permission given)
{
    struct ig_role_grant grant = {0, role->id, kind, ig_str_view(object), given};
    ASSERT_OK(ig_role_grant_add(&grant, users, &IG_PRINCIPAL_LOCAL, &err));
    return grant;
}

static void assign(const char *user, const struct ig_role *role)
{
    struct ig_role_given given;
    ASSERT_OK(
        ig_role_assign(&given, users, &IG_PRINCIPAL_LOCAL, ig_str_view(user), role->id, &err));
    assert_int_equal(given.role, role->id);
}

static void test_roles(void **state)
{
    (void)state;
    struct ig_role role = make_role("default", "viewer"), other = make_role("team", "viewer");
    struct ig_role_list list;
    struct ig_role_spec spec = {.name = IG_STR("viewer"), .workspace = IG_STR("team")};
    expect(ig_role_create(&role, users, &IG_PRINCIPAL_LOCAL, &spec, &err), IG_EXISTS);
    spec = (struct ig_role_spec){.id = other.id, .description = IG_STR("those who look")};
    ASSERT_OK(ig_role_update(&other, users, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err));
    assert_true(ig_str_is(other.name, "viewer"));
    assert_true(ig_str_is(other.description, "those who look"));
    spec = (struct ig_role_spec){.id = other.id};
    expect(ig_role_update(&other, users, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err), IG_INVALID);
    spec = (struct ig_role_spec){.id = 99, .name = IG_STR("x")};
    expect(ig_role_update(&other, users, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err), IG_NOT_FOUND);
    spec = (struct ig_role_spec){.name = IG_STR(" "), .workspace = IG_STR("team")};
    expect(ig_role_create(&role, users, &IG_PRINCIPAL_LOCAL, &spec, &err), IG_INVALID);
    const struct ig_role_filter team = {.workspace = IG_STR("team")};
    ASSERT_OK(ig_role_list(&list, users, &team, &arena, &err));
    assert_int_equal(list.count, 1);
    ASSERT_OK(ig_role_delete(users, &IG_PRINCIPAL_LOCAL, other.id, &err));
    const struct ig_role_filter gone = {.id = other.id};
    expect(ig_role_list(&list, users, &gone, &arena, &err), IG_NOT_FOUND);
    expect(ig_role_delete(users, &IG_PRINCIPAL_LOCAL, other.id, &err), IG_NOT_FOUND);
}

static void test_permissions(void **state)
{
    (void)state;
    struct ig_role role = make_role("default", "editor"), far = make_role("team", "editor");
    struct ig_role_grant grant = add(&role, IG_OBJECT_EXPERIMENT, "7", IG_PERMISSION_EDIT);
    add(&far, IG_OBJECT_EXPERIMENT, "*", IG_PERMISSION_MANAGE);
    assert_int_equal(permission(ann, IG_OBJECT_EXPERIMENT, "7"), IG_PERMISSION_READ);
    assign("ann", &role);
    assign("ann", &far);
    assert_int_equal(permission(ann, IG_OBJECT_EXPERIMENT, "7"), IG_PERMISSION_EDIT);
    assert_int_equal(permission(ann, IG_OBJECT_EXPERIMENT, "8"), IG_PERMISSION_READ);
    grant.permission = IG_PERMISSION_DENY;
    ASSERT_OK(ig_role_grant_update(&grant, users, &IG_PRINCIPAL_LOCAL, &arena, &err));
    assert_true(ig_str_is(grant.object, "7"));
    assert_int_equal(permission(ann, IG_OBJECT_EXPERIMENT, "7"), IG_PERMISSION_NONE);
    ASSERT_OK(ig_role_grant_remove(users, &IG_PRINCIPAL_LOCAL, grant.id, &err));
    expect(ig_role_grant_remove(users, &IG_PRINCIPAL_LOCAL, grant.id, &err), IG_NOT_FOUND);
    assert_int_equal(permission(ann, IG_OBJECT_EXPERIMENT, "7"), IG_PERMISSION_READ);
    /* Using a workspace gives no more than is everyone's, managing it gives all. */
    grant = add(&role, IG_OBJECT_WORKSPACE, "*", IG_PERMISSION_USE);
    assert_int_equal(permission(ann, IG_OBJECT_MODEL, "m"), IG_PERMISSION_READ);
    grant.permission = IG_PERMISSION_MANAGE;
    ASSERT_OK(ig_role_grant_update(&grant, users, &IG_PRINCIPAL_LOCAL, &arena, &err));
    assert_int_equal(permission(ann, IG_OBJECT_MODEL, "m"), IG_PERMISSION_MANAGE);
}

static void test_refused(void **state)
{
    (void)state;
    struct ig_role role = make_role("default", "r");
    struct ig_role_given given;
    static const struct ig_role_grant bad[] = {
        {0, 1, IG_OBJECT_WORKSPACE, {"*", 1}, IG_PERMISSION_READ},
        {0, 1, IG_OBJECT_WORKSPACE, {"x", 1}, IG_PERMISSION_USE},
        {0, 1, IG_OBJECT_EXPERIMENT, {"7", 1}, IG_PERMISSION_NONE},
        {0, 1, IG_OBJECT_EXPERIMENT, {"", 0}, IG_PERMISSION_READ},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ig_role_grant grant = bad[i];
        expect(ig_role_grant_add(&grant, users, &IG_PRINCIPAL_LOCAL, &err), IG_INVALID);
    }
    struct ig_role_grant grant = {0, role.id, IG_OBJECT_MODEL, IG_STR("m"), IG_PERMISSION_READ};
    ASSERT_OK(ig_role_grant_add(&grant, users, &IG_PRINCIPAL_LOCAL, &err));
    expect(ig_role_grant_add(&grant, users, &IG_PRINCIPAL_LOCAL, &err), IG_EXISTS);
    grant.role = 99;
    expect(ig_role_grant_add(&grant, users, &IG_PRINCIPAL_LOCAL, &err), IG_NOT_FOUND);
    expect(ig_role_assign(&given, users, &IG_PRINCIPAL_LOCAL, IG_STR("ann"), 99, &err),
           IG_NOT_FOUND);
    expect(ig_role_assign(&given, users, &IG_PRINCIPAL_LOCAL, IG_STR("bob"), role.id, &err),
           IG_NOT_FOUND);
    assign("ann", &role);
    expect(ig_role_assign(&given, users, &IG_PRINCIPAL_LOCAL, IG_STR("ann"), role.id, &err),
           IG_EXISTS);
    ASSERT_OK(ig_role_unassign(users, &IG_PRINCIPAL_LOCAL, IG_STR("ann"), role.id, &err));
    expect(ig_role_unassign(users, &IG_PRINCIPAL_LOCAL, IG_STR("ann"), role.id, &err),
           IG_NOT_FOUND);
}

static struct ig_role_standing stand(const char *workspace, int64_t role)
{
    struct ig_role_standing standing = {.role = role};
    if (workspace) standing.workspace = ig_str_view(workspace);
    ASSERT_OK(ig_role_stand(&standing, users, ann, &err));
    return standing;
}

static void test_standing(void **state)
{
    (void)state;
    struct ig_role admin = make_role("team", "admin"), member = make_role("lab", "member"),
                   other = make_role("team", "other");
    struct ig_role_given_list givens;
    bool may = false;
    int64_t bob = make_user("bob", false);
    add(&admin, IG_OBJECT_WORKSPACE, "*", IG_PERMISSION_MANAGE);
    assign("ann", &admin);
    assign("ann", &member);
    assert_true(stand("team", 0).is_admin);
    assert_true(stand(NULL, other.id).is_admin);
    assert_false(stand("lab", 0).is_admin);
    assert_true(stand("lab", 0).is_member);
    assert_false(stand("elsewhere", 0).is_member);
    assert_false(stand(NULL, 99).is_member);
    ASSERT_OK(ig_role_administers(&may, users, ann, bob, &err));
    assert_false(may);
    assign("bob", &other);
    assign("bob", &member);
    ASSERT_OK(ig_role_administers(&may, users, ann, bob, &err));
    assert_true(may);
    const struct ig_role_filter seen = {.user = bob, .seen_by = ann};
    struct ig_role_list list;
    ASSERT_OK(ig_role_list(&list, users, &seen, &arena, &err));
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0].id, other.id);
    ASSERT_OK(ig_role_users(&givens, users, member.id, &arena, &err));
    assert_int_equal(givens.count, 2);
    ASSERT_OK(ig_user_delete(users, &IG_PRINCIPAL_LOCAL, IG_STR("bob"), &err));
    ASSERT_OK(ig_role_users(&givens, users, member.id, &arena, &err));
    assert_int_equal(givens.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_roles, setup, teardown),
        cmocka_unit_test_setup_teardown(test_permissions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_standing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
