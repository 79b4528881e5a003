/* SPDX-License-Identifier: Apache-2.0 */
/* Gates: what they refuse, what opens them, whose package an approval is of, and every failure of
 * the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/approval/approval.h"
#include "services/approval/approval_testing.h"

static const struct ig_gate_subject ONE = {{"m", 1}, 1};
static const struct ig_principal ALICE = {.id = "a", .name = "alice"}, BOB = {.name = "bob"},
                                 EVE = {.name = "eve"};
static const struct ig_gate_check CHECKS[] = {
    {.name = {"golden", 6}, .kind = IG_GATE_GOLDEN},
    {.name = {"fair", 4}, .kind = IG_GATE_REPORTED},
};
static const struct ig_str PEOPLE[] = {{"alice", 5}, {"bob", 3}};
static const struct ig_gate GATE = {.alias = {"champion", 8},
                                    .checks = CHECKS,
                                    .checks_count = 2,
                                    .approvers = PEOPLE,
                                    .approvers_count = 2,
                                    .approvals = 2};

static enum ig_code require_in(struct ig_db_tx *tx, void *context, struct ig_err *inner)
{
    return ig_gate_require(tx, ONE, ig_str_view(context), inner);
}

static enum ig_code require(const char *alias)
{
    return ig_db_read(db, require_in, (void *)(uintptr_t)alias, &err);
}

static enum ig_code report(const char *check, bool passed, const char *digest)
{
    const struct ig_gate_report found = {ig_str_view(check), IG_STR("d"), passed,
                                         digest ? ig_str_view(digest) : (struct ig_str){NULL, 0}};
    return ig_gate_report(db, &ALICE, ONE, &found, &err);
}

static enum ig_code approve(const struct ig_principal *who)
{
    return ig_gate_approve(db, who, ONE, IG_STR("champion"), IG_STR("good"), &err);
}

static void test_way_through(void **state)
{
    (void)state;
    ASSERT_OK(require("champion"));
    ASSERT_OK(ig_gate_set(db, &ALICE, IG_STR("m"), &GATE, &err));
    ASSERT_OK(require("other"));
    ASSERT_FAILS(require("champion"), IG_CONFLICT,
                 "alias 'champion' of model 'm' has a gate; version 1 lacks: check 'golden' is "
                 "missing; check 'fair' is missing; 2 approvals more of alice, bob");
    ASSERT_OK(report("golden", true, "d1"));
    ASSERT_OK(report("fair", false, NULL));
    ASSERT_OK(approve(&ALICE));
    ASSERT_OK(approve(&ALICE)); /* twice is once */
    ASSERT_FAILS(approve(&EVE), IG_DENIED, "'eve' is no approver of alias 'champion' of model 'm'");
    ASSERT_FAILS(require("champion"), IG_CONFLICT,
                 "lacks: check 'fair' has failed (d); 1 approval more of alice, bob");
    ASSERT_OK(report("fair", true, NULL));
    ASSERT_OK(approve(&BOB));
    ASSERT_OK(require("champion"));
    ASSERT_OK(ig_gate_withdraw(db, &BOB, ONE, IG_STR("champion"), &err));
    ASSERT_FAILS(ig_gate_withdraw(db, &BOB, ONE, IG_STR("champion"), &err), IG_NOT_FOUND,
                 "'bob' has not approved version 1 of model 'm'");
    ASSERT_FAILS(require("champion"), IG_CONFLICT, "lacks: 1 approval more");
    ASSERT_OK(ig_gate_delete(db, &ALICE, IG_STR("m"), IG_STR("champion"), &err));
    ASSERT_OK(require("champion"));
    ASSERT_FAILS(ig_gate_delete(db, &ALICE, IG_STR("m"), IG_STR("champion"), &err), IG_NOT_FOUND,
                 "has no gate");
    ASSERT_OK(ig_audit_verify(db, &err));
}

static enum ig_code require_stage_in(struct ig_db_tx *tx, void *context, struct ig_err *inner)
{
    return ig_gate_require_stage(tx, ONE, ig_str_view(context), inner);
}

static enum ig_code require_stage(const char *stage)
{
    return ig_db_read(db, require_stage_in, (void *)(uintptr_t)stage, &err);
}

/* A stage's gate is not that of an alias of the same name. */
static void test_stages(void **state)
{
    (void)state;
    struct ig_gate gate = GATE;
    gate.alias = IG_STR("production");
    ASSERT_OK(ig_gate_set(db, &ALICE, IG_STR("m"), &gate, &err));
    ASSERT_OK(require_stage("Production"));
    gate.alias = IG_STR("stage:production");
    ASSERT_OK(ig_gate_set(db, &ALICE, IG_STR("m"), &gate, &err));
    ASSERT_FAILS(require_stage("Production"), IG_CONFLICT,
                 "stage 'production' of model 'm' has a gate; version 1 lacks: check 'golden'");
    ASSERT_OK(require_stage("Staging"));
    ASSERT_OK(require_stage("None"));
    gate.alias = IG_STR("stage:Production");
    ASSERT_FAILS(ig_gate_set(db, &ALICE, IG_STR("m"), &gate, &err), IG_INVALID,
                 "alias: 'stage:Production': the stages that may have a gate are");
}

static void open_gate(void)
{
    ASSERT_OK(ig_gate_set(db, &ALICE, IG_STR("m"), &GATE, &err));
    ASSERT_OK(report("golden", true, "d1"));
    ASSERT_OK(report("fair", true, NULL));
    ASSERT_OK(approve(&ALICE));
    ASSERT_OK(approve(&BOB));
    ASSERT_OK(require("champion"));
}

/* What was agreed on is the package, not its number. */
static void test_another_package(void **state)
{
    (void)state;
    struct ig_gates gates;
    open_gate();
    ig_statement_write(db, "update versions set digest = 'd2'");
    ASSERT_FAILS(require("champion"), IG_CONFLICT,
                 "lacks: check 'golden' is of another package or rule; check 'fair' is of another "
                 "package or rule; 2 approvals more");
    ASSERT_FAILS(report("golden", true, "d1"), IG_CONFLICT, "has changed meanwhile");
    ASSERT_OK(ig_gate_list(&gates, db, IG_STR("m"), 1, &arena, &err));
    assert_true(gates.count == 1 && ig_str_is(gates.digest, "d2") && !gates.items[0].open);
    assert_true(gates.items[0].given_count == 2 && gates.items[0].given[0].outdated);
    assert_int_equal(gates.items[0].findings[1].state, IG_FINDING_OUTDATED);
}

/* Nor does a finding count under another rule, or the word of one who is no approver any more. */
static void test_another_rule(void **state)
{
    (void)state;
    struct ig_gate_check metric = {.name = IG_STR("auc"),
                                   .kind = IG_GATE_METRIC,
                                   .metric = IG_STR("auc"),
                                   .has_min = true,
                                   .min = 0.8};
    struct ig_gate gate = {.alias = IG_STR("best"), .checks = &metric, .checks_count = 1};
    ASSERT_OK(ig_gate_set(db, &ALICE, IG_STR("m"), &gate, &err));
    ASSERT_OK(report("auc", true, "d1"));
    ASSERT_OK(require("best"));
    metric.min = 0.9;
    ASSERT_OK(ig_gate_set(db, &ALICE, IG_STR("m"), &gate, &err));
    ASSERT_FAILS(require("best"), IG_CONFLICT, "check 'auc' is of another package or rule");
    metric.min = 0.7;
    gate.alias = IG_STR("champion");
    ASSERT_FAILS(ig_gate_set(db, &ALICE, IG_STR("m"), &gate, &err), IG_INVALID,
                 "checks: 'auc' demands something else in the gate of alias 'best'");
    open_gate();
    struct ig_gate fewer = GATE;
    fewer.approvers_count = 1;
    fewer.approvals = 1;
    ASSERT_OK(ig_gate_set(db, &ALICE, IG_STR("m"), &fewer, &err));
    ASSERT_OK(require("champion"));
    fewer.approvers = PEOPLE + 1;
    ASSERT_OK(ig_gate_withdraw(db, &BOB, ONE, IG_STR("champion"), &err));
    ASSERT_OK(ig_gate_set(db, &ALICE, IG_STR("m"), &fewer, &err));
    ASSERT_FAILS(require("champion"), IG_CONFLICT, "lacks: 1 approval more of bob");
}

static void test_refused(void **state)
{
    (void)state;
    const struct ig_gate_check bad_checks[] = {
        {.name = IG_STR(""), .kind = IG_GATE_GOLDEN},
        {.name = IG_STR("a b"), .kind = IG_GATE_REPORTED},
        {.name = IG_STR("a"), .kind = IG_GATE_METRIC},
        {.name = IG_STR("a"), .kind = IG_GATE_METRIC, .metric = IG_STR("x")},
        {.name = IG_STR("a"), .kind = IG_GATE_REPORTED, .has_min = true},
        {.name = IG_STR("a"),
         .kind = IG_GATE_METRIC,
         .metric = IG_STR("x"),
         .has_min = true,
         .has_max = true,
         .min = 2,
         .max = 1},
    };
    for (size_t i = 0; i < sizeof bad_checks / sizeof bad_checks[0]; i++) {
        struct ig_gate gate = {
            .alias = IG_STR("champion"), .checks = &bad_checks[i], .checks_count = 1};
        ASSERT_FAILS(ig_gate_set(db, &ALICE, IG_STR("m"), &gate, &err), IG_INVALID, "checks");
    }
    struct ig_gate gate = GATE;
    gate.approvals = 3;
    ASSERT_FAILS(ig_gate_set(db, &ALICE, IG_STR("m"), &gate, &err), IG_INVALID,
                 "approvals: 3 of 2 approvers");
    gate.approvals = 0;
    gate.checks_count = 0;
    ASSERT_FAILS(ig_gate_set(db, &ALICE, IG_STR("m"), &gate, &err), IG_INVALID,
                 "a gate needs checks, approvals or both");
    ASSERT_FAILS(ig_gate_set(db, &ALICE, IG_STR("none"), &GATE, &err), IG_NOT_FOUND,
                 "model 'none' does not exist");
    ASSERT_OK(ig_gate_set(db, &ALICE, IG_STR("m"), &GATE, &err));
    ASSERT_FAILS(report("golden", true, NULL), IG_INVALID,
                 "no gate of model 'm' has a check 'golden' that is reported");
    ASSERT_FAILS(report("fair", true, "d1"), IG_INVALID, "that is computed");
    ASSERT_FAILS(ig_gate_approve(db, &ALICE, (struct ig_gate_subject){IG_STR("m"), 9},
                                 IG_STR("champion"), IG_STR(""), &err),
                 IG_NOT_FOUND, "model 'm' has no version 9");
    ASSERT_FAILS(ig_gate_approve(db, &ALICE, ONE, IG_STR("other"), IG_STR(""), &err), IG_NOT_FOUND,
                 "alias 'other' of model 'm' has no gate");
}

static enum ig_code rename_in(struct ig_db_tx *tx, void *context, struct ig_err *inner)
{
    return context ? ig_gate_drop(tx, IG_STR("n"), inner)
                   : ig_gate_rename(tx, IG_STR("m"), IG_STR("n"), inner);
}

static void test_with_the_model(void **state)
{
    (void)state;
    struct ig_gates gates;
    open_gate();
    ASSERT_OK(ig_db_write(db, rename_in, NULL, &err));
    ASSERT_OK(ig_gate_list(&gates, db, IG_STR("m"), 0, &arena, &err));
    assert_int_equal(gates.count, 0);
    ig_statement_write(
        db,
        "insert into models(name, description, created_ms, last_version) values('n', '', 1, 1)");
    ASSERT_OK(ig_db_write(db, rename_in, &gates, &err)); /* there is such a model: nothing goes */
    ASSERT_OK(ig_gate_list(&gates, db, IG_STR("n"), 0, &arena, &err));
    assert_int_equal(gates.count, 1);
    ig_statement_write(db, "delete from models where name = 'n'");
    ASSERT_OK(ig_db_write(db, rename_in, &gates, &err));
    ig_statement_write(
        db,
        "insert into models(name, description, created_ms, last_version) values('n', '', 1, 1)");
    ASSERT_OK(ig_gate_list(&gates, db, IG_STR("n"), 0, &arena, &err));
    assert_int_equal(gates.count, 0);
}

static void test_nth_call_fails(void **state)
{
    (void)state;
    bool refused = true;
    struct ig_gates gates;
    for (uint64_t n = 1; refused; n++) {
        assert_true(n < 200);
        ig_err_clear(&err);
        ig_db_fail_after(n);
        enum ig_code code = ig_gate_set(db, &ALICE, IG_STR("m"), &GATE, &err);
        refused = ig_db_failed();
        ig_db_fail_after(0);
        assert_int_equal(code, refused ? IG_IO : IG_OK);
        ig_err_clear(&err);
        ASSERT_OK(ig_gate_list(&gates, db, IG_STR("m"), 0, &arena, &err));
        assert_int_equal(gates.count, refused ? 0 : 1);
    }
    refused = true;
    for (uint64_t n = 1; refused; n++) { /* what cannot be read opens nothing */
        ig_err_clear(&err);
        ig_db_fail_after(n);
        enum ig_code code = require("champion");
        refused = ig_db_failed();
        ig_db_fail_after(0);
        assert_int_equal(code, refused ? IG_IO : IG_CONFLICT);
    }
    ig_err_clear(&err);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_way_through),     CASE(test_stages),
                                       CASE(test_another_package), CASE(test_another_rule),
                                       CASE(test_refused),         CASE(test_with_the_model),
                                       CASE(test_nth_call_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
