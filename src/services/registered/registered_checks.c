/* SPDX-License-Identifier: Apache-2.0 */
/* What gates check of a version by itself. A finding is of the package that was looked at: when the
 * version is another meanwhile, it is not kept.
 *
 * Thread rule: stateless over the stores. */
#include "services/registered/registered_priv.h"

#include "base/json.h"
#include "formats/package.h"
#include "services/approval/approval.h"

#include <stdio.h>

enum { PACKAGE_MAX_BYTES = 1 << 30, DETAIL_MAX = 400 };

struct checking {
    const struct ig_registered_by *by;
    struct ig_gate_subject subject;
    const struct ig_gate_check *check;
    struct ig_str digest;
    bool found; /* the metric */
    double value;
    bool passed;
    char detail[DETAIL_MAX];
};

/* ---- golden rows ---- */

/* A file that is at fault fails the check; a store that is away fails the call. */
static bool is_fault(enum ig_code code)
{
    return code == IG_NOT_FOUND || code == IG_INVALID || code == IG_PARSE || code == IG_CORRUPT ||
           code == IG_UNSUPPORTED || code == IG_TOO_LARGE || code == IG_CONFLICT;
}

static enum ig_code check_golden(struct checking *checking, struct ig_err *err)
{
    struct ig_err why = IG_ERR_INIT;
    struct ig_package *package = NULL;
    struct ig_buf bytes;
    ig_buf_init(&bytes, PACKAGE_MAX_BYTES);
    if (!checking->by->blobs)
        ig_fail(&why, IG_NOT_FOUND, "nothing is served here");
    else if (ig_blob_read(&bytes, checking->by->blobs, checking->digest, &why) == IG_OK)
        ig_package_open_bytes(&package, ig_buf_view(&bytes), NULL, &why);
    else if (why.code == IG_NOT_FOUND)
        snprintf(why.message, sizeof why.message, "the version has no package");
    checking->passed = package && package->golden_rows_count > 0;
    if (package)
        snprintf(checking->detail, sizeof checking->detail, "%u golden rows%s",
                 package->golden_rows_count,
                 package->golden_rows_count ? " reproduced" : ": the package has none");
    else
        snprintf(checking->detail, sizeof checking->detail, "%.*s", DETAIL_MAX - 8, why.message);
    ig_package_free(package);
    ig_buf_deinit(&bytes);
    if (why.code != IG_OK && !is_fault(why.code)) return ig_fail(err, why.code, "%s", why.message);
    return IG_OK;
}

/* ---- metrics ---- */

static enum ig_code find_in_json(struct checking *checking, struct ig_str text, struct ig_err *err)
{
    struct ig_json json;
    struct ig_err local = IG_ERR_INIT;
    ig_json_init(&json, text, checking->by->arena, &local);
    if (ig_json_next(&json) != IG_JSON_OBJECT) return IG_OK;
    while (ig_json_member(&json)) {
        bool here = ig_str_eq(json.text, checking->check->metric);
        enum ig_json_event event = ig_json_next(&json);
        if (event == IG_JSON_OBJECT || event == IG_JSON_ARRAY) ig_json_skip_open(&json);
        if (here && event == IG_JSON_NUMBER)
            checking->found = ig_str_to_f64(json.text, &checking->value);
    }
    return local.code == IG_NO_MEMORY ? ig_fail(err, IG_NO_MEMORY, "metrics") : IG_OK;
}

static enum ig_code find_metric(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct checking *checking = context;
    struct ig_db_rows *rows = NULL;
    const struct ig_db_value name = IG_DB_T(checking->subject.model);
    const struct ig_db_value number = IG_DB_I(checking->subject.version);
    const struct ig_db_value key = IG_DB_T(checking->check->metric);
    if (ig_db_query(&rows, tx, "select metrics from versions where model = $1 and version = $2",
                    IG_DB_VALUES(name, number), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err)) {
        struct ig_str text = ig_db_text_dup(rows, 0, checking->by->arena);
        if (text.ptr) find_in_json(checking, text, err);
    }
    ig_db_finish(rows);
    rows = NULL;
    if (err->code != IG_OK || checking->found) return err->code;
    /* kind is not 0 for what is no finite number: such a metric is outside of all bounds. */
    if (ig_db_query(&rows, tx,
                    "select l.value, l.kind from latest_metrics l join model_versions v"
                    " on v.run = l.run join registered_models m on m.id = v.model"
                    " where m.name = $1 and v.version = $2 and l.key = $3"
                    " union all select g.value, g.kind from logged_model_metrics g"
                    " join model_versions v on v.model_id = g.model"
                    " join registered_models m on m.id = v.model"
                    " where m.name = $1 and v.version = $2 and g.key = $3 limit 1",
                    IG_DB_VALUES(name, number, key), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err) && !ig_db_is_null(rows, 0) && ig_db_i64(rows, 1) == 0) {
        checking->found = true;
        checking->value = ig_db_f64(rows, 0);
    }
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code check_metric(struct checking *checking, struct ig_err *err)
{
    const struct ig_gate_check *check = checking->check;
    checking->found = false;
    if (ig_tracking_read(checking->by->db, find_metric, checking, err) != IG_OK) return err->code;
    int shown = check->metric.len > 100 ? 100 : (int)check->metric.len;
    bool low = check->has_min && !(checking->value >= check->min);
    bool high = check->has_max && !(checking->value <= check->max);
    checking->passed = checking->found && !low && !high;
    if (!checking->found)
        snprintf(checking->detail, sizeof checking->detail, "no finite metric '%.*s' is known",
                 shown, check->metric.ptr);
    else if (low || high)
        snprintf(checking->detail, sizeof checking->detail, "%.*s %g is %s %g", shown,
                 check->metric.ptr, checking->value, low ? "below" : "above",
                 low ? check->min : check->max);
    else
        snprintf(checking->detail, sizeof checking->detail, "%.*s is %g", shown, check->metric.ptr,
                 checking->value);
    return IG_OK;
}

/* ---- all of them ---- */

static bool seen_before(const struct ig_gates *gates, size_t gate, size_t check)
{
    struct ig_str name = gates->items[gate].checks[check].name;
    for (size_t i = 0; i < gate; i++)
        for (size_t k = 0; k < gates->items[i].checks_count; k++)
            if (ig_str_eq(gates->items[i].checks[k].name, name)) return true;
    return false;
}

static enum ig_code check_one(struct checking *checking, struct ig_err *err)
{
    const struct ig_registered_by *by = checking->by;
    enum ig_code code = checking->check->kind == IG_GATE_GOLDEN ? check_golden(checking, err)
                                                                : check_metric(checking, err);
    struct ig_str detail = ig_str_view(checking->detail);
    if (code != IG_OK) return code;
    while (detail.len && !ig_str_utf8_valid(detail)) detail.len--; /* cut, or of a file's bytes */
    const struct ig_gate_report report = {.check = checking->check->name,
                                          .detail = detail,
                                          .passed = checking->passed,
                                          .digest = checking->digest};
    return ig_gate_report(by->db, by->who, checking->subject, &report, err);
}

enum ig_code ig_registered_check(const struct ig_registered_by *by, struct ig_str name,
                                 int64_t version, struct ig_err *err)
{
    struct ig_gates gates;
    if (ig_gate_list(&gates, by->db, name, version, by->arena, err) != IG_OK) return err->code;
    for (size_t i = 0; err->code == IG_OK && i < gates.count; i++)
        for (size_t k = 0; err->code == IG_OK && k < gates.items[i].checks_count; k++) {
            struct checking checking = {.by = by,
                                        .subject = {name, version},
                                        .check = &gates.items[i].checks[k],
                                        .digest = gates.digest};
            if (checking.check->kind == IG_GATE_REPORTED || seen_before(&gates, i, k)) continue;
            check_one(&checking, err);
        }
    return err->code;
}
