/* SPDX-License-Identifier: Apache-2.0 */
/* Sets gates, takes findings and approvals. Reading stands in approval_read.c.
 *
 * Thread rule: stateless over the store. */
#include "services/approval/approval_priv.h"

#include "base/clock.h"
#include "base/json.h"

#include <math.h>
#include <stdio.h>

enum { OBJECT_MAX = 2048, ALIAS_MAX = 1020, MODEL_MAX = 1024, RULE_MAX = 1024 };

struct call {
    const struct ig_principal *who;
    struct ig_gate_subject subject;
    struct ig_str alias, text; /* text: a reason */
    const struct ig_gate *gate;
    const struct ig_gate_report *report;
    struct ig_arena *arena;
    struct ig_gates gates;
};

/* `detail`: a text for the trail, or empty. */
static enum ig_code audit(struct ig_db_tx *tx, const struct call *call, const char *action,
                          struct ig_str name, struct ig_str text, struct ig_err *err)
{
    char object[OBJECT_MAX];
    struct ig_buf detail;
    struct ig_json_out out;
    int length = snprintf(object, sizeof object, "%.*s", IG_STR_ARGS(call->subject.model));
    if (call->subject.version)
        length += snprintf(object + length, sizeof object - (size_t)length, "/%lld",
                           (long long)call->subject.version);
    snprintf(object + length, sizeof object - (size_t)length, "@%.*s", IG_STR_ARGS(name));
    ig_buf_init(&detail, 8 * IG_GATE_TEXT_MAX);
    ig_json_out_init(&out, &detail);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "why", text);
    ig_json_out_object_end(&out);
    if (detail.overflowed) ig_fail(err, IG_NO_MEMORY, "audit");
    if (err->code == IG_OK)
        ig_audit_add(tx, call->who, action, ig_str_view(object),
                     text.len ? ig_buf_view(&detail) : IG_STR(""), err);
    ig_buf_deinit(&detail);
    return err->code;
}

static enum ig_code write_with_arena(struct ig_db *db, ig_db_work *work, struct call *call,
                                     struct ig_err *err)
{
    struct ig_arena arena;
    ig_arena_init(&arena, 16 << 10, 8 << 20);
    call->arena = &arena;
    ig_db_write(db, work, call, err);
    ig_arena_deinit(&arena);
    return err->code;
}

/* ---- rules ---- */

static enum ig_code check_name(struct ig_str name, const char *what, struct ig_err *err)
{
    bool good = name.len > 0 && name.len <= IG_GATE_NAME_MAX;
    for (size_t i = 0; good && i < name.len; i++) {
        char c = name.ptr[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    }
    if (good) return IG_OK;
    return ig_fail(err, IG_INVALID, "%s: '%.*s' is not 1 to %d letters, digits, '.', '_' and '-'",
                   what, name.len > 64 ? 64 : (int)name.len, name.ptr, IG_GATE_NAME_MAX);
}

static enum ig_code check_text(struct ig_str text, const char *what, struct ig_err *err)
{
    if (text.len <= IG_GATE_TEXT_MAX && ig_str_utf8_valid(text)) return IG_OK;
    return ig_fail(err, IG_INVALID, "%s: expected at most %d bytes of UTF-8", what,
                   IG_GATE_TEXT_MAX);
}

static enum ig_code check_place(struct ig_str model, struct ig_str alias, struct ig_err *err)
{
    if (!alias.len || alias.len > ALIAS_MAX || !ig_str_utf8_valid(alias))
        return ig_fail(err, IG_INVALID, "alias: expected 1 to %d bytes of UTF-8", ALIAS_MAX);
    if (ig_str_starts(alias, IG_STR(IG_GATE_STAGE)) && !ig_str_is(alias, IG_GATE_STAGE "staging") &&
        !ig_str_is(alias, IG_GATE_STAGE "production"))
        return ig_fail(err, IG_INVALID,
                       "alias: '%.*s': the stages that may have a gate are stage:staging and "
                       "stage:production",
                       alias.len > 64 ? 64 : (int)alias.len, alias.ptr);
    if (!model.len || model.len > MODEL_MAX || !ig_str_utf8_valid(model))
        return ig_fail(err, IG_INVALID, "model: expected 1 to %d bytes of UTF-8", MODEL_MAX);
    return IG_OK;
}

static enum ig_code check_check(const struct ig_gate *gate, size_t at, struct ig_err *err)
{
    const struct ig_gate_check *check = &gate->checks[at];
    if (check_name(check->name, "checks.name", err) != IG_OK) return err->code;
    for (size_t i = 0; i < at; i++)
        if (ig_str_eq(gate->checks[i].name, check->name))
            return ig_fail(err, IG_INVALID, "checks: '%.*s' stands there twice",
                           IG_STR_ARGS(check->name));
    if (check->kind != IG_GATE_METRIC) {
        if (!check->metric.len && !check->has_min && !check->has_max) return IG_OK;
        return ig_fail(err, IG_INVALID, "checks: '%.*s' is no check of a metric",
                       IG_STR_ARGS(check->name));
    }
    if (!check->metric.len || check->metric.len > IG_GATE_NAME_MAX * 4)
        return ig_fail(err, IG_INVALID, "checks: '%.*s' needs the name of a metric",
                       IG_STR_ARGS(check->name));
    if ((!check->has_min && !check->has_max) || !isfinite(check->min) || !isfinite(check->max) ||
        (check->has_min && check->has_max && check->min > check->max))
        return ig_fail(err, IG_INVALID, "checks: '%.*s' needs min, max or both, min <= max",
                       IG_STR_ARGS(check->name));
    return IG_OK;
}

static enum ig_code check_gate(const struct ig_gate *gate, struct ig_err *err)
{
    if (gate->checks_count > IG_GATE_CHECKS_MAX)
        return ig_fail(err, IG_INVALID, "checks: more than %d", IG_GATE_CHECKS_MAX);
    if (gate->approvers_count > IG_GATE_APPROVERS_MAX)
        return ig_fail(err, IG_INVALID, "approvers: more than %d", IG_GATE_APPROVERS_MAX);
    for (size_t i = 0; i < gate->checks_count; i++)
        if (check_check(gate, i, err) != IG_OK) return err->code;
    for (size_t i = 0; i < gate->approvers_count; i++) {
        if (check_name(gate->approvers[i], "approvers", err) != IG_OK) return err->code;
        for (size_t k = 0; k < i; k++)
            if (ig_str_eq(gate->approvers[i], gate->approvers[k]))
                return ig_fail(err, IG_INVALID, "approvers: '%.*s' stands there twice",
                               IG_STR_ARGS(gate->approvers[i]));
    }
    if (gate->approvals < 0 || (size_t)gate->approvals > gate->approvers_count)
        return ig_fail(err, IG_INVALID, "approvals: %lld of %zu approvers",
                       (long long)gate->approvals, gate->approvers_count);
    if (!gate->checks_count && !gate->approvals)
        return ig_fail(err, IG_INVALID, "checks: a gate needs checks, approvals or both");
    return IG_OK;
}

/* ---- gates ---- */

static bool found_one(struct ig_db_tx *tx, const char *sql, struct ig_str model, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, sql, IG_DB_VALUES(IG_DB_T(model)), err) != IG_OK) return false;
    bool found = ig_db_next(rows, err);
    ig_db_finish(rows);
    return found;
}

static bool model_exists(struct ig_db_tx *tx, struct ig_str model, struct ig_err *err)
{
    return found_one(tx,
                     "select 1 from models where name = $1 union all"
                     " select 1 from registered_models where name = $1",
                     model, err);
}

static enum ig_code remove_gate(struct ig_db_tx *tx, struct ig_str model, struct ig_str alias,
                                struct ig_err *err)
{
    static const char *const statements[] = {
        "delete from gate_checks where model = $1 and alias = $2",
        "delete from gate_approvers where model = $1 and alias = $2",
        "delete from gates where model = $1 and alias = $2",
    };
    for (size_t i = 0; err->code == IG_OK && i < sizeof statements / sizeof statements[0]; i++)
        ig_db_exec(tx, statements[i], IG_DB_VALUES(IG_DB_T(model), IG_DB_T(alias)), err);
    return err->code;
}

static enum ig_code put_check(struct ig_db_tx *tx, const struct call *call, size_t at,
                              struct ig_err *err)
{
    const struct ig_gate_check *check = &call->gate->checks[at];
    return ig_db_exec(
        tx,
        "insert into gate_checks(model, alias, position, name, kind, metric, low, high)"
        " values($1, $2, $3, $4, $5, $6, $7, $8)",
        IG_DB_VALUES(IG_DB_T(call->subject.model), IG_DB_T(call->alias), IG_DB_I((int64_t)at),
                     IG_DB_T(check->name), IG_DB_C(ig_gate_kind_name(check->kind)),
                     IG_DB_T(check->metric.ptr ? check->metric : IG_STR("")),
                     check->has_min ? IG_DB_F(check->min) : IG_DB_N(),
                     check->has_max ? IG_DB_F(check->max) : IG_DB_N()),
        err);
}

static enum ig_code check_room(struct ig_db_tx *tx, struct ig_str model, struct ig_err *err)
{
    int64_t count = 0;
    if (ig_db_get_i64(&count, tx, "select count(*) from gates where model = $1",
                      IG_DB_VALUES(IG_DB_T(model)), err) == IG_OK &&
        count >= IG_GATES_MAX)
        ig_fail(err, IG_EXHAUSTED, "model '%.*s' has %d gates", IG_STR_ARGS(model), IG_GATES_MAX);
    return err->code;
}

/* Findings are kept by a check's name, so one name means one thing in all gates of a model. */
static enum ig_code check_others(struct ig_db_tx *tx, struct call *call, struct ig_err *err)
{
    struct ig_gate_subject model = {call->subject.model, 0};
    if (ig_gate_read(&call->gates, tx, model, IG_STR(""), call->arena, err) != IG_OK)
        return err->code;
    for (size_t i = 0; err->code == IG_OK && i < call->gate->checks_count; i++) {
        const struct ig_gate_check *mine = &call->gate->checks[i];
        for (size_t k = 0; err->code == IG_OK && k < call->gates.count; k++)
            for (size_t n = 0; n < call->gates.items[k].checks_count; n++) {
                const struct ig_gate_check *other = &call->gates.items[k].checks[n];
                if (ig_str_eq(mine->name, other->name) && !ig_gate_same_rule(mine, other))
                    ig_fail(err, IG_INVALID,
                            "checks: '%.*s' demands something else in the gate of alias '%.*s'",
                            IG_STR_ARGS(mine->name), IG_STR_ARGS(call->gates.items[k].alias));
            }
    }
    return err->code;
}

static enum ig_code set_gate(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    const struct ig_gate *gate = call->gate;
    const struct ig_db_value model = IG_DB_T(call->subject.model), alias = IG_DB_T(call->alias);
    bool there = model_exists(tx, call->subject.model, err);
    if (err->code == IG_OK && !there)
        return ig_fail(err, IG_NOT_FOUND, "model '%.*s' does not exist",
                       IG_STR_ARGS(call->subject.model));
    if (err->code != IG_OK || remove_gate(tx, call->subject.model, call->alias, err) != IG_OK ||
        check_room(tx, call->subject.model, err) != IG_OK || check_others(tx, call, err) != IG_OK ||
        ig_db_exec(tx, "insert into gates(model, alias, approvals) values($1, $2, $3)",
                   IG_DB_VALUES(model, alias, IG_DB_I(gate->approvals)), err) != IG_OK)
        return err->code;
    for (size_t i = 0; err->code == IG_OK && i < gate->checks_count; i++)
        put_check(tx, call, i, err);
    for (size_t i = 0; err->code == IG_OK && i < gate->approvers_count; i++)
        ig_db_exec(tx, "insert into gate_approvers(model, alias, name) values($1, $2, $3)",
                   IG_DB_VALUES(model, alias, IG_DB_T(gate->approvers[i])), err);
    if (err->code != IG_OK) return err->code;
    return audit(tx, call, "gate.set", call->alias, IG_STR(""), err);
}

enum ig_code ig_gate_set(struct ig_db *db, const struct ig_principal *who, struct ig_str model,
                         const struct ig_gate *gate, struct ig_err *err)
{
    struct call call = {.who = who, .subject = {model, 0}, .alias = gate->alias, .gate = gate};
    if (check_place(model, gate->alias, err) != IG_OK || check_gate(gate, err) != IG_OK)
        return err->code;
    return write_with_arena(db, set_gate, &call, err);
}

static enum ig_code delete_gate(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct call *call = context;
    if (remove_gate(tx, call->subject.model, call->alias, err) != IG_OK) return err->code;
    if (!ig_db_changes(tx))
        return ig_fail(err, IG_NOT_FOUND, "alias '%.*s' of model '%.*s' has no gate",
                       IG_STR_ARGS(call->alias), IG_STR_ARGS(call->subject.model));
    return audit(tx, call, "gate.delete", call->alias, IG_STR(""), err);
}

enum ig_code ig_gate_delete(struct ig_db *db, const struct ig_principal *who, struct ig_str model,
                            struct ig_str alias, struct ig_err *err)
{
    struct call call = {.who = who, .subject = {model, 0}, .alias = alias};
    if (check_place(model, alias, err) != IG_OK) return err->code;
    return ig_db_write(db, delete_gate, &call, err);
}

static enum ig_code list_gates(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    bool there = model_exists(tx, call->subject.model, err);
    if (err->code == IG_OK && !there)
        return ig_fail(err, IG_NOT_FOUND, "model '%.*s' does not exist",
                       IG_STR_ARGS(call->subject.model));
    if (err->code != IG_OK) return err->code;
    return ig_gate_read(&call->gates, tx, call->subject, IG_STR(""), call->arena, err);
}

enum ig_code ig_gate_list(struct ig_gates *out, struct ig_db *db, struct ig_str model,
                          int64_t version, struct ig_arena *arena, struct ig_err *err)
{
    struct call call = {.subject = {model, version}, .arena = arena};
    if (ig_db_read(db, list_gates, &call, err) == IG_OK) *out = call.gates;
    return err->code;
}

/* ---- findings ---- */

/* The check of this name that some gate has, of those that are reported or of the others. */
static const struct ig_gate_check *find_check(const struct ig_gates *gates, struct ig_str name,
                                              bool reported)
{
    for (size_t i = 0; i < gates->count; i++)
        for (size_t k = 0; k < gates->items[i].checks_count; k++) {
            const struct ig_gate_check *check = &gates->items[i].checks[k];
            if (ig_str_eq(check->name, name) && (check->kind == IG_GATE_REPORTED) == reported)
                return check;
        }
    return NULL;
}

static enum ig_code put_finding(struct ig_db_tx *tx, const struct call *call,
                                const struct ig_gate_check *check, const char *digest,
                                struct ig_err *err)
{
    struct ig_buf rule;
    ig_buf_init(&rule, RULE_MAX);
    ig_gate_rule(&rule, check);
    ig_db_exec(tx,
               "insert into version_checks(model, version, name, digest, rule, passed, detail,"
               " principal_id, principal_name, at_ms) values($1, $2, $3, $4, $5, $6, $7, $8, $9,"
               " $10) on conflict (model, version, name) do update set digest = excluded.digest,"
               " rule = excluded.rule, passed = excluded.passed, detail = excluded.detail,"
               " principal_id = excluded.principal_id, principal_name = excluded.principal_name,"
               " at_ms = excluded.at_ms",
               IG_DB_VALUES(IG_DB_T(call->subject.model), IG_DB_I(call->subject.version),
                            IG_DB_T(check->name), IG_DB_C(digest), IG_DB_T(ig_buf_view(&rule)),
                            IG_DB_I(call->report->passed), IG_DB_T(call->report->detail),
                            IG_DB_C(call->who->id), IG_DB_C(call->who->name),
                            IG_DB_I(ig_clock_unix_ms())),
               err);
    ig_buf_deinit(&rule);
    return err->code;
}

static enum ig_code report_in(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    const struct ig_gate_report *report = call->report;
    char digest[IG_SHA256_HEX] = "";
    struct ig_gate_subject model = {call->subject.model, 0};
    if (ig_gate_digest(digest, tx, call->subject, err) != IG_OK ||
        ig_gate_read(&call->gates, tx, model, IG_STR(""), call->arena, err) != IG_OK)
        return err->code;
    const struct ig_gate_check *check =
        find_check(&call->gates, report->check, report->digest.ptr == NULL);
    if (!check)
        return ig_fail(
            err, IG_INVALID, "check: no gate of model '%.*s' has a check '%.*s' that is %s",
            IG_STR_ARGS(call->subject.model), report->check.len > 64 ? 64 : (int)report->check.len,
            report->check.ptr, report->digest.ptr ? "computed" : "reported");
    if (report->digest.ptr && !ig_str_is(report->digest, digest))
        return ig_fail(err, IG_CONFLICT, "version %lld of model '%.*s' has changed meanwhile",
                       (long long)call->subject.version, IG_STR_ARGS(call->subject.model));
    if (put_finding(tx, call, check, digest, err) != IG_OK) return err->code;
    return audit(tx, call, report->passed ? "check.passed" : "check.failed", check->name,
                 report->detail, err);
}

enum ig_code ig_gate_report(struct ig_db *db, const struct ig_principal *who,
                            struct ig_gate_subject subject, const struct ig_gate_report *report,
                            struct ig_err *err)
{
    struct call call = {.who = who, .subject = subject, .report = report};
    if (check_text(report->detail, "detail", err) != IG_OK) return err->code;
    return write_with_arena(db, report_in, &call, err);
}

/* ---- approvals ---- */

static bool names(const struct ig_gate *gate, const char *name)
{
    for (size_t i = 0; i < gate->approvers_count; i++)
        if (ig_str_is(gate->approvers[i], name)) return true;
    return false;
}

static enum ig_code find_gate(struct ig_db_tx *tx, struct call *call, char digest[IG_SHA256_HEX],
                              struct ig_err *err)
{
    struct ig_gate_subject model = {call->subject.model, 0};
    if (ig_gate_digest(digest, tx, call->subject, err) != IG_OK ||
        ig_gate_read(&call->gates, tx, model, call->alias, call->arena, err) != IG_OK)
        return err->code;
    if (!call->gates.count)
        return ig_fail(err, IG_NOT_FOUND, "alias '%.*s' of model '%.*s' has no gate",
                       IG_STR_ARGS(call->alias), IG_STR_ARGS(call->subject.model));
    if (names(&call->gates.items[0], call->who->name)) return IG_OK;
    return ig_fail(err, IG_DENIED, "'%s' is no approver of alias '%.*s' of model '%.*s'",
                   call->who->name, IG_STR_ARGS(call->alias), IG_STR_ARGS(call->subject.model));
}

static enum ig_code approve_in(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    char digest[IG_SHA256_HEX] = "";
    if (find_gate(tx, call, digest, err) != IG_OK ||
        ig_db_exec(tx,
                   "insert into version_approvals(model, version, alias, principal_name,"
                   " principal_id, digest, reason, at_ms) values($1, $2, $3, $4, $5, $6, $7, $8)"
                   " on conflict (model, version, alias, principal_name) do update set"
                   " principal_id = excluded.principal_id, digest = excluded.digest,"
                   " reason = excluded.reason, at_ms = excluded.at_ms",
                   IG_DB_VALUES(IG_DB_T(call->subject.model), IG_DB_I(call->subject.version),
                                IG_DB_T(call->alias), IG_DB_C(call->who->name),
                                IG_DB_C(call->who->id), IG_DB_C(digest), IG_DB_T(call->text),
                                IG_DB_I(ig_clock_unix_ms())),
                   err) != IG_OK)
        return err->code;
    return audit(tx, call, "approval.give", call->alias, call->text, err);
}

enum ig_code ig_gate_approve(struct ig_db *db, const struct ig_principal *who,
                             struct ig_gate_subject subject, struct ig_str alias,
                             struct ig_str reason, struct ig_err *err)
{
    struct call call = {.who = who, .subject = subject, .alias = alias, .text = reason};
    if (check_place(subject.model, alias, err) != IG_OK ||
        check_text(reason, "reason", err) != IG_OK)
        return err->code;
    return write_with_arena(db, approve_in, &call, err);
}

static enum ig_code withdraw_in(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    if (ig_db_exec(tx,
                   "delete from version_approvals where model = $1 and version = $2 and alias = $3"
                   " and principal_name = $4",
                   IG_DB_VALUES(IG_DB_T(call->subject.model), IG_DB_I(call->subject.version),
                                IG_DB_T(call->alias), IG_DB_C(call->who->name)),
                   err) != IG_OK)
        return err->code;
    if (!ig_db_changes(tx))
        return ig_fail(err, IG_NOT_FOUND, "'%s' has not approved version %lld of model '%.*s'",
                       call->who->name, (long long)call->subject.version,
                       IG_STR_ARGS(call->subject.model));
    return audit(tx, call, "approval.withdraw", call->alias, IG_STR(""), err);
}

enum ig_code ig_gate_withdraw(struct ig_db *db, const struct ig_principal *who,
                              struct ig_gate_subject subject, struct ig_str alias,
                              struct ig_err *err)
{
    struct call call = {.who = who, .subject = subject, .alias = alias};
    if (check_place(subject.model, alias, err) != IG_OK) return err->code;
    return ig_db_write(db, withdraw_in, &call, err);
}

/* ---- with the registries ---- */

#define OF_EACH_TABLE(before, after)                                                               \
    {                                                                                              \
        before "gates" after, before "gate_checks" after, before "gate_approvers" after,           \
            before "version_checks" after, before "version_approvals" after,                       \
            before "version_reports" after                                                         \
    }

enum ig_code ig_gate_rename(struct ig_db_tx *tx, struct ig_str from, struct ig_str to,
                            struct ig_err *err)
{
    static const char *const statements[] =
        OF_EACH_TABLE("update ", " set model = $2 where model = $1");
    for (size_t i = 0; err->code == IG_OK && i < sizeof statements / sizeof statements[0]; i++)
        ig_db_exec(tx, statements[i], IG_DB_VALUES(IG_DB_T(from), IG_DB_T(to)), err);
    return err->code;
}

enum ig_code ig_gate_drop(struct ig_db_tx *tx, struct ig_str model, struct ig_err *err)
{
    static const char *const statements[] = OF_EACH_TABLE("delete from ", " where model = $1");
    if (model_exists(tx, model, err)) return err->code;
    for (size_t i = 0; err->code == IG_OK && i < sizeof statements / sizeof statements[0]; i++)
        ig_db_exec(tx, statements[i], IG_DB_VALUES(IG_DB_T(model)), err);
    return err->code;
}
