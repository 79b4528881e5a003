/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of reports. Thread rule: none of its own; the database's. */
#include "services/approval/report.h"

#include "base/clock.h"
#include "services/approval/approval_priv.h"

#include <stdio.h>

static const char *const NAMES[] = {
    [IG_REPORT_FAIRNESS] = "fairness", [IG_REPORT_IMPORTANCE] = "importance"};

const char *ig_report_kind_name(enum ig_report_kind kind)
{
    return NAMES[kind];
}

enum ig_code ig_report_kind_parse(enum ig_report_kind *out, struct ig_str name, struct ig_err *err)
{
    for (int i = 0; i < IG_REPORT_KINDS_COUNT; i++)
        if (ig_str_is(name, NAMES[i])) {
            *out = (enum ig_report_kind)i;
            return IG_OK;
        }
    return ig_fail(err, IG_INVALID, "report: '%.*s', expected fairness or importance",
                   name.len > 40 ? 40 : (int)name.len, name.ptr);
}

struct call {
    const struct ig_principal *who;
    struct ig_gate_subject subject;
    const char *kind;
    struct ig_str json;
    struct ig_arena *arena;
    struct ig_report found;
};

static enum ig_code audit(struct ig_db_tx *tx, const struct call *call, const char *action,
                          struct ig_err *err)
{
    char detail[96];
    snprintf(detail, sizeof detail, "{\"version\":%lld,\"kind\":\"%s\"}",
             (long long)call->subject.version, call->kind);
    return ig_audit_add(tx, call->who, action, call->subject.model, ig_str_view(detail), err);
}

static enum ig_code keep(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct call *call = context;
    char digest[IG_SHA256_HEX] = "";
    if (ig_gate_digest(digest, tx, call->subject, err) != IG_OK ||
        ig_db_exec(tx,
                   "insert into version_reports(model, version, kind, digest, report, principal_id,"
                   " principal_name, at_ms) values($1, $2, $3, $4, $5, $6, $7, $8)"
                   " on conflict (model, version, kind) do update set digest = excluded.digest,"
                   " report = excluded.report, principal_id = excluded.principal_id,"
                   " principal_name = excluded.principal_name, at_ms = excluded.at_ms",
                   IG_DB_VALUES(IG_DB_T(call->subject.model), IG_DB_I(call->subject.version),
                                IG_DB_C(call->kind), IG_DB_C(digest), IG_DB_T(call->json),
                                IG_DB_C(call->who->id), IG_DB_C(call->who->name),
                                IG_DB_I(ig_clock_unix_ms())),
                   err) != IG_OK)
        return err->code;
    return audit(tx, call, "version.report", err);
}

enum ig_code ig_report_keep(struct ig_db *db, const struct ig_principal *who,
                            struct ig_gate_subject subject, enum ig_report_kind kind,
                            struct ig_str json, struct ig_err *err)
{
    struct call call = {.who = who, .subject = subject, .kind = NAMES[kind], .json = json};
    struct ig_report_summary ignored;
    struct ig_arena arena;
    if (json.len > IG_REPORT_MAX_BYTES)
        return ig_fail(err, IG_TOO_LARGE, "report: %zu bytes, at most %d", json.len,
                       IG_REPORT_MAX_BYTES);
    ig_arena_init(&arena, 1 << 16, 4 * IG_REPORT_MAX_BYTES);
    if (ig_report_summarize(&ignored, kind, json, &arena, err) == IG_OK)
        ig_db_write(db, keep, &call, err);
    ig_arena_deinit(&arena);
    return err->code;
}

static enum ig_code none(const struct call *call, struct ig_err *err)
{
    return ig_fail(err, IG_NOT_FOUND, "version %lld of model '%.*s' has no report of %s",
                   (long long)call->subject.version, IG_STR_ARGS(call->subject.model), call->kind);
}

static enum ig_code get(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    struct ig_db_rows *rows = NULL;
    char digest[IG_SHA256_HEX] = "";
    if (ig_gate_digest(digest, tx, call->subject, err) != IG_OK ||
        ig_db_query(&rows, tx,
                    "select report, principal_name, at_ms, digest from version_reports"
                    " where model = $1 and version = $2 and kind = $3",
                    IG_DB_VALUES(IG_DB_T(call->subject.model), IG_DB_I(call->subject.version),
                                 IG_DB_C(call->kind)),
                    err) != IG_OK)
        return err->code;
    bool found = ig_db_next(rows, err);
    if (found)
        call->found = (struct ig_report){.json = ig_db_text_dup(rows, 0, call->arena),
                                         .by = ig_db_text_dup(rows, 1, call->arena),
                                         .at_ms = ig_db_i64(rows, 2),
                                         .outdated = !ig_str_is(ig_db_text(rows, 3), digest)};
    ig_db_finish(rows);
    if (call->arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "report");
    return found || err->code != IG_OK ? err->code : none(call, err);
}

enum ig_code ig_report_get(struct ig_report *out, struct ig_db *db, struct ig_gate_subject subject,
                           enum ig_report_kind kind, struct ig_arena *arena, struct ig_err *err)
{
    struct call call = {.subject = subject, .kind = NAMES[kind], .arena = arena};
    if (ig_db_read(db, get, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code drop(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct call *call = context;
    if (ig_db_exec(tx,
                   "delete from version_reports where model = $1 and version = $2 and kind = $3",
                   IG_DB_VALUES(IG_DB_T(call->subject.model), IG_DB_I(call->subject.version),
                                IG_DB_C(call->kind)),
                   err) != IG_OK)
        return err->code;
    return ig_db_changes(tx) ? audit(tx, call, "version.report.delete", err) : none(call, err);
}

enum ig_code ig_report_delete(struct ig_db *db, const struct ig_principal *who,
                              struct ig_gate_subject subject, enum ig_report_kind kind,
                              struct ig_err *err)
{
    struct call call = {.who = who, .subject = subject, .kind = NAMES[kind]};
    return ig_db_write(db, drop, &call, err);
}
