/* SPDX-License-Identifier: Apache-2.0 */
/* Reads gates and how a version stands before them; what an alias still needs.
 *
 * Thread rule: stateless, within the caller's transaction. */
#include "services/approval/approval_priv.h"

#include <stdio.h>
#include <string.h>

enum { RULE_MAX = 1024, ARENA_CHUNK = 16 << 10, ARENA_MAX = 8 << 20 };

static const char *const KINDS[] = {"golden", "metric", "reported"};

const char *ig_gate_kind_name(enum ig_gate_kind kind)
{
    return KINDS[kind];
}

enum ig_code ig_gate_kind_parse(enum ig_gate_kind *out, struct ig_str name, struct ig_err *err)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        if (!ig_str_is(name, KINDS[i])) continue;
        *out = (enum ig_gate_kind)i;
        return IG_OK;
    }
    return ig_fail(err, IG_INVALID, "kind: '%.*s' is not golden, metric or reported",
                   name.len > 64 ? 64 : (int)name.len, name.ptr);
}

const char *ig_finding_state_name(enum ig_finding_state state)
{
    static const char *const NAMES[] = {"missing", "outdated", "failed", "passed"};
    return NAMES[state];
}

void ig_gate_rule(struct ig_buf *out, const struct ig_gate_check *check)
{
    ig_buf_add_cstr(out, KINDS[check->kind]);
    if (check->kind != IG_GATE_METRIC) return;
    ig_buf_printf(out, " %.*s", IG_STR_ARGS(check->metric));
    if (check->has_min) ig_buf_printf(out, " >= %.17g", check->min);
    if (check->has_max) ig_buf_printf(out, " <= %.17g", check->max);
}

bool ig_gate_same_rule(const struct ig_gate_check *a, const struct ig_gate_check *b)
{
    struct ig_buf one, other;
    ig_buf_init(&one, RULE_MAX);
    ig_buf_init(&other, RULE_MAX);
    ig_gate_rule(&one, a);
    ig_gate_rule(&other, b);
    bool same = !one.overflowed && ig_str_eq(ig_buf_view(&one), ig_buf_view(&other));
    ig_buf_deinit(&one);
    ig_buf_deinit(&other);
    return same;
}

/* What a version that has no package is known by. */
static enum ig_code digest_of_place(char out[IG_SHA256_HEX], struct ig_db_tx *tx,
                                    struct ig_gate_subject subject, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    struct ig_buf text;
    ig_buf_init(&text, 1 << 20);
    if (ig_db_query(&rows, tx,
                    "select v.source, v.location, v.run, v.created_ms from model_versions v"
                    " join registered_models m on m.id = v.model"
                    " where m.name = $1 and v.version = $2",
                    IG_DB_VALUES(IG_DB_T(subject.model), IG_DB_I(subject.version)), err) == IG_OK &&
        ig_db_next(rows, err)) {
        for (int i = 0; i < 3; i++) {
            ig_buf_add_str(&text, ig_db_text(rows, i));
            ig_buf_add_char(&text, '\n');
        }
        ig_buf_add_i64(&text, ig_db_i64(rows, 3));
    }
    ig_db_finish(rows);
    if (text.overflowed) ig_fail(err, IG_NO_MEMORY, "version");
    if (err->code == IG_OK && !text.len)
        ig_fail(err, IG_NOT_FOUND, "model '%.*s' has no version %lld", IG_STR_ARGS(subject.model),
                (long long)subject.version);
    if (err->code == IG_OK) ig_sha256_hex(text.ptr, text.len, out);
    ig_buf_deinit(&text);
    return err->code;
}

enum ig_code ig_gate_digest(char out[IG_SHA256_HEX], struct ig_db_tx *tx,
                            struct ig_gate_subject subject, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select digest from versions where model = $1 and version = $2",
                    IG_DB_VALUES(IG_DB_T(subject.model), IG_DB_I(subject.version)), err) != IG_OK)
        return err->code;
    bool found = ig_db_next(rows, err);
    if (found) snprintf(out, IG_SHA256_HEX, "%.*s", IG_STR_ARGS(ig_db_text(rows, 0)));
    ig_db_finish(rows);
    if (err->code != IG_OK || found) return err->code;
    return digest_of_place(out, tx, subject, err);
}

/* ---- one gate ---- */

struct reading {
    struct ig_db_tx *tx;
    struct ig_gate_subject subject;
    const char *digest; /* NULL: of no version */
    struct ig_arena *arena;
    struct ig_err *err;
};

static void read_checks(struct reading *reading, struct ig_gate *gate)
{
    struct ig_db_rows *rows = NULL;
    struct ig_gate_check *items = ig_arena_array(reading->arena, IG_GATE_CHECKS_MAX, sizeof *items);
    if (!items) ig_fail(reading->err, IG_NO_MEMORY, "gate");
    if (!items || ig_db_query(&rows, reading->tx,
                              "select name, kind, metric, low, high from gate_checks"
                              " where model = $1 and alias = $2 order by position",
                              IG_DB_VALUES(IG_DB_T(reading->subject.model), IG_DB_T(gate->alias)),
                              reading->err) != IG_OK)
        return;
    gate->checks = items;
    while (gate->checks_count < IG_GATE_CHECKS_MAX && ig_db_next(rows, reading->err)) {
        struct ig_gate_check *check = &items[gate->checks_count++];
        *check = (struct ig_gate_check){.name = ig_db_text_dup(rows, 0, reading->arena),
                                        .metric = ig_db_text_dup(rows, 2, reading->arena),
                                        .has_min = !ig_db_is_null(rows, 3),
                                        .has_max = !ig_db_is_null(rows, 4),
                                        .min = ig_db_f64(rows, 3),
                                        .max = ig_db_f64(rows, 4)};
        ig_gate_kind_parse(&check->kind, ig_db_text(rows, 1), reading->err);
    }
    ig_db_finish(rows);
}

static void read_approvers(struct reading *reading, struct ig_gate *gate)
{
    struct ig_db_rows *rows = NULL;
    struct ig_str *items = ig_arena_array(reading->arena, IG_GATE_APPROVERS_MAX, sizeof *items);
    if (!items) ig_fail(reading->err, IG_NO_MEMORY, "gate");
    if (!items || ig_db_query(&rows, reading->tx,
                              "select name from gate_approvers where model = $1 and alias = $2"
                              " order by name",
                              IG_DB_VALUES(IG_DB_T(reading->subject.model), IG_DB_T(gate->alias)),
                              reading->err) != IG_OK)
        return;
    gate->approvers = items;
    while (gate->approvers_count < IG_GATE_APPROVERS_MAX && ig_db_next(rows, reading->err))
        items[gate->approvers_count++] = ig_db_text_dup(rows, 0, reading->arena);
    ig_db_finish(rows);
}

static void read_finding(struct reading *reading, const struct ig_gate_check *check,
                         struct ig_finding *out)
{
    struct ig_db_rows *rows = NULL;
    struct ig_buf rule;
    *out = (struct ig_finding){.detail = IG_STR(""), .by = IG_STR("")};
    if (ig_db_query(&rows, reading->tx,
                    "select digest, rule, passed, detail, principal_name, at_ms from version_checks"
                    " where model = $1 and version = $2 and name = $3",
                    IG_DB_VALUES(IG_DB_T(reading->subject.model), IG_DB_I(reading->subject.version),
                                 IG_DB_T(check->name)),
                    reading->err) != IG_OK)
        return;
    ig_buf_init(&rule, RULE_MAX);
    ig_gate_rule(&rule, check);
    if (ig_db_next(rows, reading->err)) {
        bool same = ig_str_is(ig_db_text(rows, 0), reading->digest) &&
                    ig_str_eq(ig_db_text(rows, 1), ig_buf_view(&rule));
        enum ig_finding_state held = ig_db_i64(rows, 2) ? IG_FINDING_PASSED : IG_FINDING_FAILED;
        *out = (struct ig_finding){.state = same ? held : IG_FINDING_OUTDATED,
                                   .detail = ig_db_text_dup(rows, 3, reading->arena),
                                   .by = ig_db_text_dup(rows, 4, reading->arena),
                                   .at_ms = ig_db_i64(rows, 5)};
    }
    ig_buf_deinit(&rule);
    ig_db_finish(rows);
}

static bool is_approver(const struct ig_gate *gate, struct ig_str name)
{
    for (size_t i = 0; i < gate->approvers_count; i++)
        if (ig_str_eq(gate->approvers[i], name)) return true;
    return false;
}

/* Who was an approver once and is none any more does not count. */
static void read_given(struct reading *reading, struct ig_gate *gate)
{
    struct ig_db_rows *rows = NULL;
    struct ig_approval *items = NULL;
    size_t cap = 0;
    if (ig_db_query(&rows, reading->tx,
                    "select digest, principal_name, reason, at_ms from version_approvals"
                    " where model = $1 and version = $2 and alias = $3 order by at_ms",
                    IG_DB_VALUES(IG_DB_T(reading->subject.model), IG_DB_I(reading->subject.version),
                                 IG_DB_T(gate->alias)),
                    reading->err) != IG_OK)
        return;
    while (ig_db_next(rows, reading->err)) {
        items = ig_arena_grow(reading->arena, items, gate->given_count, &cap, sizeof *items);
        if (!items) break;
        struct ig_approval *given = &items[gate->given_count++];
        *given = (struct ig_approval){.by = ig_db_text_dup(rows, 1, reading->arena),
                                      .reason = ig_db_text_dup(rows, 2, reading->arena),
                                      .at_ms = ig_db_i64(rows, 3),
                                      .outdated = !ig_str_is(ig_db_text(rows, 0), reading->digest)};
        if (!given->outdated && is_approver(gate, given->by)) gate->valid_count++;
    }
    ig_db_finish(rows);
    gate->given = items;
}

static void read_standing(struct reading *reading, struct ig_gate *gate)
{
    struct ig_finding *findings =
        ig_arena_array(reading->arena, gate->checks_count + 1, sizeof *findings);
    if (!findings) {
        ig_fail(reading->err, IG_NO_MEMORY, "gate");
        return;
    }
    gate->findings = findings;
    gate->open = true;
    for (size_t i = 0; reading->err->code == IG_OK && i < gate->checks_count; i++) {
        read_finding(reading, &gate->checks[i], &findings[i]);
        gate->open = gate->open && findings[i].state == IG_FINDING_PASSED;
    }
    if (reading->err->code == IG_OK) read_given(reading, gate);
    gate->open = gate->open && (int64_t)gate->valid_count >= gate->approvals;
}

enum ig_code ig_gate_read(struct ig_gates *out, struct ig_db_tx *tx, struct ig_gate_subject subject,
                          struct ig_str alias, struct ig_arena *arena, struct ig_err *err)
{
    char digest[IG_SHA256_HEX] = "";
    struct ig_db_rows *rows = NULL;
    struct ig_gate *items = ig_arena_array(arena, IG_GATES_MAX, sizeof *items);
    size_t count = 0;
    if (!items) return ig_fail(err, IG_NO_MEMORY, "gates");
    if (ig_db_query(&rows, tx,
                    "select alias, approvals from gates"
                    " where model = $1 and ($2 = '' or alias = $2) order by alias",
                    IG_DB_VALUES(IG_DB_T(subject.model), IG_DB_T(alias)), err) != IG_OK)
        return err->code;
    while (count < IG_GATES_MAX && ig_db_next(rows, err))
        items[count++] = (struct ig_gate){.alias = ig_db_text_dup(rows, 0, arena),
                                          .approvals = ig_db_i64(rows, 1)};
    ig_db_finish(rows);
    if (err->code == IG_OK && subject.version && (count || !alias.len))
        ig_gate_digest(digest, tx, subject, err);
    struct reading reading = {tx, subject, subject.version ? digest : NULL, arena, err};
    for (size_t i = 0; err->code == IG_OK && i < count; i++) {
        read_checks(&reading, &items[i]);
        if (err->code == IG_OK) read_approvers(&reading, &items[i]);
        if (err->code == IG_OK && subject.version) read_standing(&reading, &items[i]);
    }
    *out = (struct ig_gates){items, count, ig_arena_dup(arena, ig_str_view(digest))};
    if (arena->overflowed) ig_fail(err, IG_NO_MEMORY, "gates");
    return err->code;
}

/* ---- what is missing ---- */

static void write_missing(struct ig_buf *out, const struct ig_gate *gate)
{
    static const char *const WORDS[] = {"is missing", "is of another package or rule",
                                        "has failed"};
    size_t start = out->len;
    for (size_t i = 0; i < gate->checks_count; i++) {
        const struct ig_finding *finding = &gate->findings[i];
        if (finding->state == IG_FINDING_PASSED) continue;
        ig_buf_printf(out, "%scheck '%.*s' %s", out->len > start ? "; " : "",
                      IG_STR_ARGS(gate->checks[i].name), WORDS[finding->state]);
        if (finding->state == IG_FINDING_FAILED && finding->detail.len)
            ig_buf_printf(out, " (%.*s)", finding->detail.len > 80 ? 80 : (int)finding->detail.len,
                          finding->detail.ptr);
    }
    long long lacks = (long long)gate->approvals - (long long)gate->valid_count;
    if (lacks <= 0) return;
    ig_buf_printf(out, "%s%lld approval%s more of", out->len > start ? "; " : "", lacks,
                  lacks == 1 ? "" : "s");
    for (size_t i = 0; i < gate->approvers_count; i++)
        ig_buf_printf(out, "%s %.*s", i ? "," : "", IG_STR_ARGS(gate->approvers[i]));
}

enum ig_code ig_gate_require(struct ig_db_tx *tx, struct ig_gate_subject subject,
                             struct ig_str alias, struct ig_err *err)
{
    struct ig_arena arena;
    struct ig_gates gates = {0};
    struct ig_buf missing;
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    ig_buf_init(&missing, 16 << 10);
    if (ig_gate_read(&gates, tx, subject, alias, &arena, err) == IG_OK && gates.count &&
        !gates.items[0].open) {
        write_missing(&missing, &gates.items[0]);
        bool stage = ig_str_starts(alias, IG_STR(IG_GATE_STAGE));
        if (stage) ig_str_cut(&alias, ':');
        ig_fail(err, IG_CONFLICT, "%s '%.*s' of model '%.*s' has a gate; version %lld lacks: %s",
                stage ? "stage" : "alias", alias.len > 64 ? 64 : (int)alias.len, alias.ptr,
                subject.model.len > 64 ? 64 : (int)subject.model.len, subject.model.ptr,
                (long long)subject.version, missing.ptr);
    }
    ig_buf_deinit(&missing);
    ig_arena_deinit(&arena);
    return err->code;
}

enum ig_code ig_gate_require_stage(struct ig_db_tx *tx, struct ig_gate_subject subject,
                                   struct ig_str stage, struct ig_err *err)
{
    char name[64];
    int length = snprintf(name, sizeof name, IG_GATE_STAGE "%.*s", IG_STR_ARGS(stage));
    IG_ASSERT(length > 0 && (size_t)length < sizeof name);
    for (int i = 0; i < length; i++)
        if (name[i] >= 'A' && name[i] <= 'Z') name[i] = (char)(name[i] - 'A' + 'a');
    return ig_gate_require(tx, subject, ig_str_view(name), err);
}
