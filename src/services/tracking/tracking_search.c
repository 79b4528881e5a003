/* SPDX-License-Identifier: Apache-2.0 */
/* 1. The statement's text is made of constants and numbered names; every word of a client is a
 *    value. It is what SQLite and PostgreSQL share: LIKE tells capitals from small letters in both,
 *    and `escape` makes a backslash of the pattern an ordinary character, as it is to MLflow.
 * 2. A comparison of metrics, parameters, tags and datasets asks whether such a row exists, so a
 *    run without the key matches none, != included, as with MLflow's joins.
 * 3. Order keys are never null: a rank (0 a value, 1 NaN or nothing, 2 no metric) stands before
 *    each that may be missing. The page after a row is what lies behind it by these keys, which an
 *    index or a sort with a limit finds without passing over the rows of earlier pages.
 * 4. Runs and experiments are never removed: a token names the last row, and the next page begins
 *    where that stands by then. Models and versions are: their tokens hold the row's keys.
 *
 * Thread rule: nothing is shared. */
#include "services/tracking/tracking_search_priv.h"

#include "base/hash.h"
#include "services/tracking/json_text.h"
#include "services/tracking/tracking_priv.h"
#include "services/tracking/tracking_traces.h"

#include <stdio.h>
#include <string.h>

enum {
    SQL_BYTES_MAX = 1 << 20,
    VALUES_MAX = IG_TRACKING_SEARCHED_MAX + 2 * IG_TRACKING_VALUES_MAX + 4 * IG_TRACKING_TERMS_MAX +
                 7 * IG_TRACKING_ORDERS_MAX + 16 +
                 2 * IG_TRACKING_LOGGED_SETS_MAX * (IG_TRACKING_TERMS_MAX + 1),
};

#define PROMPT_TAG "mlflow.prompt.is_prompt"
#define PROMPTS "p.key = '" PROMPT_TAG "' and p.value = 'true'"

/* Metrics as numbers: MLflow keeps infinities as the greatest doubles. NaN is null. */
#define METRIC(alias)                                                                              \
    "case " alias ".kind when 0 then " alias ".value when 2 then 1.7976931348623157e308"           \
    " when 3 then -1.7976931348623157e308 end"

/* ---- text and values ---- */

static void add(struct ig_tracking_query *query, const char *text)
{
    ig_buf_add_cstr(&query->sql, text);
}

static void add_value(struct ig_tracking_query *query, struct ig_db_value value)
{
    IG_ASSERT(query->values_count < VALUES_MAX);
    query->values[query->values_count++] = value;
    ig_buf_printf(&query->sql, "$%zu", query->values_count);
}

static const char *column(enum ig_tracking_kind kind, enum ig_tracking_field field)
{
    static const char STATUS[] =
        "case r.status when 1 then 'RUNNING' when 2 then 'SCHEDULED' when 3 then 'FINISHED'"
        " when 4 then 'FAILED' when 5 then 'KILLED' end";
    static const char *const columns[IG_TRACKING_BY_COUNT] = {
        [IG_TRACKING_BY_RUN_ID] = "r.id",
        [IG_TRACKING_BY_RUN_NAME] = "r.name",
        [IG_TRACKING_BY_USER_ID] = "r.user_id",
        [IG_TRACKING_BY_STATUS] = STATUS,
        [IG_TRACKING_BY_ARTIFACT_URI] = "r.artifact_root",
        [IG_TRACKING_BY_START_TIME] = "r.start_ms",
        [IG_TRACKING_BY_END_TIME] = "r.end_ms",
        [IG_TRACKING_BY_NAME] = "r.name",
        [IG_TRACKING_BY_EXPERIMENT_ID] = "r.id",
        [IG_TRACKING_BY_CREATION_TIME] = "r.created_ms",
        [IG_TRACKING_BY_LAST_UPDATE_TIME] = "r.updated_ms",
        [IG_TRACKING_BY_VERSION_NUMBER] = "r.version",
        [IG_TRACKING_BY_SOURCE_PATH] = "r.source",
        [IG_TRACKING_BY_MODEL_ID] = "r.id",
        [IG_TRACKING_BY_MODEL_TYPE] = "r.model_type",
        [IG_TRACKING_BY_SOURCE_RUN] = "r.source_run",
        [IG_TRACKING_BY_STAGE] = "r.stage",
        [IG_TRACKING_BY_TRACE_ID] = "r.id",
        [IG_TRACKING_BY_CLIENT_ID] = "r.client_id",
        [IG_TRACKING_BY_DURATION] = "r.duration_ms",
        [IG_TRACKING_BY_CREATOR] = "r.created_by",
        [IG_TRACKING_BY_UPDATER] = "r.updated_by",
        [IG_TRACKING_BY_DATASET_NAME] = "t.name",
        [IG_TRACKING_BY_DATASET_DIGEST] = "t.digest",
        [IG_TRACKING_BY_DATASET_CONTEXT] = "t.value",
        [IG_TRACKING_BY_SPAN_NAME] = "t.name",
        [IG_TRACKING_BY_SPAN_TYPE] = "t.type",
        [IG_TRACKING_BY_SPAN_STATUS] = "t.status",
        [IG_TRACKING_BY_SPAN_TEXT] = "t.content",
    };
    if (kind == IG_TRACKING_TRACES && field == IG_TRACKING_BY_STATUS)
        return "case r.status when 1 then 'OK' when 2 then 'ERROR' when 3 then 'IN_PROGRESS'"
               " else 'TRACE_STATUS_UNSPECIFIED' end";
    if (kind == IG_TRACKING_TRACES && field == IG_TRACKING_BY_EXPERIMENT_ID) return "r.experiment";
    if (kind == IG_TRACKING_TRACES && field == IG_TRACKING_BY_END_TIME)
        return "(r.start_ms + r.duration_ms)";
    if (kind == IG_TRACKING_ISSUES)
        return field == IG_TRACKING_BY_STATUS ? "r.status" : "nullif(r.source_run, '')";
    if (kind == IG_TRACKING_LOGGED && field == IG_TRACKING_BY_STATUS)
        return "case r.status when 1 then 'PENDING' when 2 then 'READY' else 'FAILED' end";
    if (kind == IG_TRACKING_VERSIONS && field == IG_TRACKING_BY_NAME) return "m.name";
    if (kind == IG_TRACKING_VERSIONS && field == IG_TRACKING_BY_RUN_ID) return "r.run";
    IG_ASSERT(columns[field]);
    return columns[field];
}

/* ---- filter ---- */

static struct ig_str escaped(struct ig_str pattern, struct ig_arena *arena)
{
    char *text = ig_arena_alloc(arena, 2 * pattern.len + 1);
    size_t length = 0;
    if (!text) return IG_STR("");
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.ptr[i] == '\\') text[length++] = '\\';
        text[length++] = pattern.ptr[i];
    }
    return (struct ig_str){text, length};
}

static struct ig_db_value term_value(const struct ig_tracking_term *term, size_t i)
{
    int64_t id = 0;
    if (term->numeric) return IG_DB_F(term->number);
    if (term->what.field != IG_TRACKING_BY_EXPERIMENT_ID) return IG_DB_T(term->values[i]);
    ig_str_to_i64(term->values[i], &id); /* the parser has checked it */
    return IG_DB_I(id);
}

/* `sql` compared with the term's value. */
static void add_comparison(struct ig_tracking_query *query, const char *sql,
                           const struct ig_tracking_term *term)
{
    static const char *const ops[IG_TRACKING_OPS_COUNT] = {
        [IG_TRACKING_EQ] = " = ",      [IG_TRACKING_NE] = " <> ", [IG_TRACKING_GT] = " > ",
        [IG_TRACKING_GE] = " >= ",     [IG_TRACKING_LT] = " < ",  [IG_TRACKING_LE] = " <= ",
        [IG_TRACKING_LIKE] = " like ", [IG_TRACKING_IN] = " in ", [IG_TRACKING_NOT_IN] = " not in ",
    };
    switch (term->op) {
    case IG_TRACKING_LIKE:
    case IG_TRACKING_ILIKE: {
        bool fold = term->op == IG_TRACKING_ILIKE;
        ig_buf_printf(&query->sql, fold ? "lower(%s) like lower(" : "%s like (", sql);
        add_value(query, IG_DB_T(escaped(term->values[0], query->arena)));
        add(query, ") escape '\\'");
        return;
    }
    case IG_TRACKING_IN:
    case IG_TRACKING_NOT_IN:
        ig_buf_printf(&query->sql, "%s%s(", sql, ops[term->op]);
        for (size_t i = 0; i < term->values_count; i++) {
            if (i) add(query, ", ");
            add_value(query, term_value(term, i));
        }
        add(query, ")");
        return;
    default:
        ig_buf_printf(&query->sql, "%s%s", sql, ops[term->op]);
        add_value(query, term_value(term, 0));
    }
}

static const char *source(const struct ig_tracking_query *query,
                          const struct ig_tracking_identifier *what)
{
    switch (query->search->kind) {
    case IG_TRACKING_EXPERIMENTS:
        return "select 1 from experiment_tags t where t.experiment = r.id";
    case IG_TRACKING_MODELS:
        return "select 1 from registered_tags t where t.model = r.id";
    case IG_TRACKING_VERSIONS:
        return "select 1 from model_version_tags t where t.version = r.id";
    case IG_TRACKING_TRACES: /* of the runs that made them and of those linked */
        if (what->entity == IG_TRACKING_PARAM && ig_str_is(what->key, IG_TRACKING_TRACE_SOURCE_RUN))
            return "select 1 from (select trace, key, value from trace_metadata union all select"
                   " trace, '" IG_TRACKING_TRACE_SOURCE_RUN
                   "' as key, run as value from trace_runs)"
                   " t where t.trace = r.id";
        return what->entity == IG_TRACKING_PARAM
                   ? "select 1 from trace_metadata t where t.trace = r.id"
                   : "select 1 from trace_tags t where t.trace = r.id";
    case IG_TRACKING_EVALUATIONS:
        return "select 1 from evaluation_tags t where t.evaluation = r.id";
    case IG_TRACKING_LOGGED:
        return what->entity == IG_TRACKING_METRIC
                   ? "select 1 from logged_model_metrics t where t.model = r.id"
               : what->entity == IG_TRACKING_PARAM
                   ? "select 1 from logged_model_params t where t.model = r.id"
                   : "select 1 from logged_model_tags t where t.model = r.id";
    default:
        break;
    }
    switch (what->entity) {
    case IG_TRACKING_METRIC:
        return "select 1 from latest_metrics t where t.run = r.id";
    case IG_TRACKING_PARAM:
        return "select 1 from params t where t.run = r.id";
    case IG_TRACKING_TAG:
        return "select 1 from run_tags t where t.run = r.id";
    default:
        break;
    }
    if (what->field == IG_TRACKING_BY_DATASET_CONTEXT)
        return "select 1 from run_input_tags t where t.run = r.id and t.key ="
               " 'mlflow.data.context'";
    return "select 1 from run_inputs i join datasets t on t.id = i.dataset where i.run = r.id";
}

/* Of logged models: metrics count when they are of one of these datasets. */
static void add_datasets(struct ig_tracking_query *query)
{
    const struct ig_tracking_search *search = query->search;
    if (!search->datasets_count) return;
    add(query, " and (");
    for (size_t i = 0; i < search->datasets_count; i++) {
        add(query, i ? " or (t.dataset_name = " : "(t.dataset_name = ");
        add_value(query, IG_DB_T(search->datasets[i].name));
        if (search->datasets[i].digest.len) {
            add(query, " and t.dataset_digest = ");
            add_value(query, IG_DB_T(search->datasets[i].digest));
        }
        add(query, ")");
    }
    add(query, ")");
}

static void add_row_term(struct ig_tracking_query *query, const struct ig_tracking_term *term)
{
    bool test = term->op == IG_TRACKING_IS_NULL || term->op == IG_TRACKING_IS_NOT_NULL;
    ig_buf_printf(&query->sql, " and %sexists (%s", term->op == IG_TRACKING_IS_NULL ? "not " : "",
                  source(query, &term->what));
    if (term->what.entity != IG_TRACKING_DATASET) {
        add(query, " and t.key = ");
        add_value(query, IG_DB_T(term->what.key));
    }
    if (query->search->kind == IG_TRACKING_LOGGED && term->what.entity == IG_TRACKING_METRIC)
        add_datasets(query);
    if (!test) {
        add(query, " and (");
        if (term->what.entity == IG_TRACKING_METRIC && term->op == IG_TRACKING_NE)
            add(query, "t.kind = 1 or ");
        add_comparison(query,
                       term->what.entity == IG_TRACKING_METRIC ? METRIC("t")
                       : term->what.entity == IG_TRACKING_DATASET
                           ? column(IG_TRACKING_RUNS, term->what.field)
                           : "t.value",
                       term);
        add(query, ")");
    }
    add(query, ")");
}

/* A text as it stands within LIKE's pattern, between any other text. */
static struct ig_db_value found_in(const char *before, struct ig_str text, const char *behind,
                                   struct ig_arena *arena)
{
    struct ig_buf buf;
    ig_buf_init(&buf, SQL_BYTES_MAX);
    ig_buf_printf(&buf, "%%%s", before);
    for (size_t i = 0; i < text.len; i++) {
        if (memchr("\\%_", text.ptr[i], 3)) ig_buf_add_char(&buf, '\\');
        ig_buf_add_char(&buf, text.ptr[i]);
    }
    ig_buf_printf(&buf, "%s%%", behind);
    struct ig_str pattern = ig_arena_dup(arena, ig_buf_view(&buf));
    if (buf.overflowed) arena->overflowed = true;
    ig_buf_deinit(&buf);
    return IG_DB_T(pattern);
}

/* `"key": "value"` of a span's JSON, whose values are texts of JSON: a number stands in them as it
 * is, a text in quotes. */
static void add_attribute_value(struct ig_tracking_query *query, struct ig_str key,
                                struct ig_str value)
{
    struct ig_buf text, quoted, member;
    ig_buf_init(&text, SQL_BYTES_MAX);
    ig_buf_init(&quoted, SQL_BYTES_MAX);
    ig_buf_init(&member, SQL_BYTES_MAX);
    ig_json_text_add_str(&text, value);
    ig_json_text_add_str(&quoted, ig_buf_view(&text));
    for (int as_text = 0; as_text < 2; as_text++) {
        ig_buf_reset(&member);
        ig_json_text_add_str(&member, key);
        ig_buf_add_cstr(&member, ": ");
        if (as_text)
            ig_buf_add_str(&member, ig_buf_view(&quoted));
        else
            ig_json_text_add_str(&member, value);
        add(query, as_text ? " or t.content like " : "t.content like ");
        add_value(query, found_in("", ig_buf_view(&member), "", query->arena));
        add(query, " escape '\\'");
    }
    if (text.overflowed || quoted.overflowed || member.overflowed) query->sql.overflowed = true;
    ig_buf_deinit(&text);
    ig_buf_deinit(&quoted);
    ig_buf_deinit(&member);
}

static void add_span_attribute(struct ig_tracking_query *query, const struct ig_tracking_term *term)
{
    bool negated = term->op == IG_TRACKING_NE || term->op == IG_TRACKING_NOT_IN;
    if (term->op == IG_TRACKING_LIKE || term->op == IG_TRACKING_ILIKE) {
        /* the value is a pattern over all that follows the name, as MLflow has it */
        const char *text =
            ig_arena_printf(query->arena, "%%\"%.*s\"%.*s%%", IG_STR_ARGS(term->what.key),
                            IG_STR_ARGS(term->values[0]));
        const struct ig_str pattern = ig_str_view(text ? text : "");
        const struct ig_tracking_term like = {
            .op = term->op, .values = &pattern, .values_count = 1};
        add_comparison(query, "t.content", &like);
        return;
    }
    if (negated) {
        add(query, "t.content like ");
        add_value(query, found_in("\"", term->what.key, "\": ", query->arena));
        add(query, " escape '\\' and not ");
    }
    add(query, "(");
    for (size_t i = 0; i < term->values_count; i++) {
        if (i) add(query, " or ");
        add_attribute_value(query, term->what.key, term->values[i]);
    }
    add(query, ")");
}

/* One span for which all of them hold. */
static void add_spans(struct ig_tracking_query *query)
{
    bool any = false;
    for (size_t i = 0; i < query->filter.count; i++) {
        const struct ig_tracking_term *term = &query->filter.terms[i];
        if (term->what.entity != IG_TRACKING_SPAN) continue;
        add(query, any ? " and " : " and exists (select 1 from spans t where t.trace = r.id and ");
        any = true;
        if (term->what.field == IG_TRACKING_BY_SPAN_ATTRIBUTE)
            add_span_attribute(query, term);
        else
            add_comparison(query, column(IG_TRACKING_TRACES, term->what.field), term);
    }
    if (any) add(query, ")");
}

/* A text is equal to a value that is this text in JSON, or whose JSON is this text. */
static void add_assessment_value(struct ig_tracking_query *query,
                                 const struct ig_tracking_term *term)
{
    struct ig_buf quoted;
    if (term->numeric) {
        add(query, " and t.is_number = 1 and ");
        add_comparison(query, "t.number", term);
        return;
    }
    add(query, " and ");
    if (term->op != IG_TRACKING_EQ && term->op != IG_TRACKING_NE) {
        add_comparison(query, "t.value", term);
        return;
    }
    ig_buf_init(&quoted, SQL_BYTES_MAX);
    ig_json_text_add_str(&quoted, term->values[0]);
    add(query, term->op == IG_TRACKING_NE ? "t.value not in (" : "t.value in (");
    add_value(query, IG_DB_T(term->values[0]));
    add(query, ", ");
    add_value(query, IG_DB_T(ig_arena_dup(query->arena, ig_buf_view(&quoted))));
    add(query, ")");
    ig_buf_deinit(&quoted);
}

static void add_assessment(struct ig_tracking_query *query, const struct ig_tracking_term *term)
{
    bool test = term->op == IG_TRACKING_IS_NULL || term->op == IG_TRACKING_IS_NOT_NULL;
    bool issue = term->what.entity == IG_TRACKING_ISSUE;
    ig_buf_printf(&query->sql,
                  " and %sexists (select 1 from assessments t where t.trace = r.id and t.kind ="
                  " '%s' and t.name = ",
                  term->op == IG_TRACKING_IS_NULL ? "not " : "",
                  ig_tracking_entity_name(term->what.entity));
    add_value(query, IG_DB_T(issue ? term->values[0] : term->what.key));
    if (!issue) add(query, " and t.valid = 1");
    if (!issue && !test) add_assessment_value(query, term);
    add(query, ")");
}

static bool is_of_prompts(const struct ig_tracking_term *term)
{
    return term->what.entity == IG_TRACKING_TAG && ig_str_is(term->what.key, PROMPT_TAG);
}

/* Prompts are models with a tag. Searches find none unless they ask for them by that tag, which
 * models do not have. True: the tag's comparisons are as any other's. */
static bool add_prompts(struct ig_tracking_query *query)
{
    const struct ig_tracking_search *search = query->search;
    if (search->kind != IG_TRACKING_MODELS && search->kind != IG_TRACKING_VERSIONS) return true;
    for (size_t i = 0; i < query->filter.count; i++) {
        const struct ig_tracking_term *term = &query->filter.terms[i];
        if (!is_of_prompts(term)) continue;
        struct ig_str wanted = term->op == IG_TRACKING_EQ   ? IG_STR("true")
                               : term->op == IG_TRACKING_NE ? IG_STR("false")
                                                            : IG_STR("");
        if (wanted.len && ig_str_eq_nocase(term->values[0], wanted)) return true;
        break;
    }
    add(query,
        search->kind == IG_TRACKING_MODELS
            ? " and not exists (select 1 from registered_tags p where p.model = r.id and " PROMPTS
              ")"
            : " and r.model not in (select v.model from model_version_tags p join model_versions v"
              " on v.id = p.version where " PROMPTS ")");
    return false;
}

/* Whether each such row is of one experiment, and only those of given ones are searched. */
static bool is_of_experiments(enum ig_tracking_kind kind)
{
    return kind == IG_TRACKING_RUNS || kind == IG_TRACKING_LOGGED || kind == IG_TRACKING_TRACES;
}

static bool is_named_by_texts(enum ig_tracking_kind kind)
{
    return is_of_experiments(kind) || kind == IG_TRACKING_EVALUATIONS || kind == IG_TRACKING_ISSUES;
}

static void add_experiments(struct ig_tracking_query *query)
{
    const struct ig_tracking_search *search = query->search;
    bool one = search->kind != IG_TRACKING_EVALUATIONS;
    if (!search->experiments_count) return;
    add(query, one ? " and r.experiment in ("
                   : " and exists (select 1 from evaluation_experiments e where e.evaluation = r.id"
                     " and e.experiment in (");
    for (size_t i = 0; i < search->experiments_count; i++) {
        if (i) add(query, ", ");
        add_value(query, IG_DB_I(search->experiments[i]));
    }
    add(query, one ? ")" : "))");
}

/* Runs, logged models and traces are searched in experiments that the viewer sees. */
static void add_viewer(struct ig_tracking_query *query)
{
    static const char *const names[] = {
        [IG_TRACKING_EXPERIMENTS] = "cast(r.id as text)",
        [IG_TRACKING_ISSUES] = "cast(r.experiment as text)",
        [IG_TRACKING_MODELS] = "r.name",
        [IG_TRACKING_VERSIONS] = "m.name",
    };
    enum ig_tracking_kind kind = query->search->kind;
    const struct ig_viewer *viewer = &query->search->viewer;
    if (!viewer->user || kind >= sizeof names / sizeof names[0] || !names[kind]) return;
    bool models = kind == IG_TRACKING_MODELS || kind == IG_TRACKING_VERSIONS;
    add(query, " and ");
    IG_ASSERT(query->values_count < VALUES_MAX);
    query->values[query->values_count++] = IG_DB_I(viewer->user);
    ig_grants_condition(&query->sql, viewer, models ? IG_OBJECT_MODEL : IG_OBJECT_EXPERIMENT,
                        names[kind], query->values_count);
}

static void add_filter(struct ig_tracking_query *query)
{
    const struct ig_tracking_search *search = query->search;
    bool prompts = add_prompts(query), measured = false;
    add_experiments(query);
    add_viewer(query);
    if (search->view == IG_TRACKING_ACTIVE) add(query, " and r.stage = 'active'");
    if (search->view == IG_TRACKING_DELETED) add(query, " and r.stage = 'deleted'");
    for (size_t i = 0; i < query->filter.count; i++) {
        const struct ig_tracking_term *term = &query->filter.terms[i];
        if (!prompts && is_of_prompts(term)) continue;
        measured = measured || term->what.entity == IG_TRACKING_METRIC;
        if (term->what.entity == IG_TRACKING_SPAN) continue;
        if (term->what.entity > IG_TRACKING_SPAN) {
            add_assessment(query, term);
            continue;
        }
        if (term->what.entity != IG_TRACKING_ATTRIBUTE) {
            add_row_term(query, term);
            continue;
        }
        add(query, " and ");
        add_comparison(query, column(search->kind, term->what.field), term);
    }
    add_spans(query);
    if (!search->datasets_count || measured) return;
    add(query, " and exists (select 1 from logged_model_metrics t where t.model = r.id");
    add_datasets(query);
    add(query, ")");
}

/* ---- order ---- */

static struct ig_tracking_key *add_key(struct ig_tracking_query *query, bool descending)
{
    IG_ASSERT(query->keys_count < IG_TRACKING_KEYS_MAX);
    struct ig_tracking_key *key = &query->keys[query->keys_count++];
    *key = (struct ig_tracking_key){.type = IG_TRACKING_KEY_WHOLE, .descending = descending};
    return key;
}

static void add_attribute_keys(struct ig_tracking_query *query,
                               const struct ig_tracking_order *order)
{
    enum ig_tracking_field field = order->what.field;
    bool missing = field == IG_TRACKING_BY_END_TIME || field == IG_TRACKING_BY_DURATION;
    bool words = false;
    if (missing) {
        struct ig_tracking_key *rank = add_key(query, false);
        snprintf(rank->sql, IG_TRACKING_KEY_BYTES, "case when %s is null then 1 else 0 end",
                 column(query->search->kind, field));
    }
    words = field == IG_TRACKING_BY_RUN_NAME || field == IG_TRACKING_BY_SOURCE_PATH ||
            field == IG_TRACKING_BY_USER_ID || field == IG_TRACKING_BY_STATUS ||
            field == IG_TRACKING_BY_ARTIFACT_URI || field == IG_TRACKING_BY_NAME ||
            field == IG_TRACKING_BY_RUN_ID || field == IG_TRACKING_BY_MODEL_ID ||
            field == IG_TRACKING_BY_MODEL_TYPE || field == IG_TRACKING_BY_SOURCE_RUN ||
            field == IG_TRACKING_BY_STAGE || field == IG_TRACKING_BY_TRACE_ID;
    struct ig_tracking_key *key = add_key(query, order->descending);
    key->type = words ? IG_TRACKING_KEY_WORDS : IG_TRACKING_KEY_WHOLE;
    snprintf(key->sql, IG_TRACKING_KEY_BYTES, missing ? "coalesce(%s, 0)" : "%s",
             column(query->search->kind, field));
}

static void add_row_keys(struct ig_tracking_query *query, size_t i)
{
    const struct ig_tracking_order *order = &query->orders[i];
    bool metric = order->what.entity == IG_TRACKING_METRIC;
    struct ig_tracking_key *rank = add_key(query, false), *key = add_key(query, order->descending);
    key->type = metric ? IG_TRACKING_KEY_REAL : IG_TRACKING_KEY_WORDS;
    if (metric) {
        snprintf(rank->sql, IG_TRACKING_KEY_BYTES,
                 "case when o%zu.kind = 1 then 1 when o%zu.run is null then 2 else 0 end", i, i);
        snprintf(key->sql, IG_TRACKING_KEY_BYTES,
                 "case o%zu.kind when 0 then o%zu.value when 2 then 1.7976931348623157e308"
                 " when 3 then -1.7976931348623157e308 else 0.0 end",
                 i, i);
    } else {
        snprintf(rank->sql, IG_TRACKING_KEY_BYTES, "case when o%zu.run is null then 1 else 0 end",
                 i);
        snprintf(key->sql, IG_TRACKING_KEY_BYTES, "coalesce(o%zu.value, '')", i);
    }
}

static bool ordered_by(const struct ig_tracking_query *query, enum ig_tracking_field field)
{
    for (size_t i = 0; i < query->search->orders_count; i++)
        if (query->orders[i].what.field == field) return true;
    return false;
}

static void add_key_unless_ordered(struct ig_tracking_query *query, enum ig_tracking_field field,
                                   bool descending)
{
    if (ordered_by(query, field)) return;
    struct ig_tracking_key *key = add_key(query, descending);
    key->type = field == IG_TRACKING_BY_NAME ? IG_TRACKING_KEY_WORDS : IG_TRACKING_KEY_WHOLE;
    snprintf(key->sql, IG_TRACKING_KEY_BYTES, "%s", column(query->search->kind, field));
}

/* Models by name; versions by name, the last of them first. */
static void add_registry_keys(struct ig_tracking_query *query)
{
    bool versions = query->search->kind == IG_TRACKING_VERSIONS;
    if (versions && !query->search->orders_count)
        add_key_unless_ordered(query, IG_TRACKING_BY_LAST_UPDATE_TIME, true);
    add_key_unless_ordered(query, IG_TRACKING_BY_NAME, false);
    if (versions) add_key_unless_ordered(query, IG_TRACKING_BY_VERSION_NUMBER, true);
}

static void add_issue_key(struct ig_tracking_query *query, const char *sql, bool words)
{
    struct ig_tracking_key *key = add_key(query, true);
    key->type = words ? IG_TRACKING_KEY_WORDS : IG_TRACKING_KEY_WHOLE;
    snprintf(key->sql, IG_TRACKING_KEY_BYTES, "%s", sql);
}

/* The worst first, then the newest. */
static void add_issue_keys(struct ig_tracking_query *query)
{
    add_issue_key(query,
                  "case r.severity when 'high' then 3 when 'medium' then 2 when 'low' then 1"
                  " when 'not_an_issue' then 0 else -1 end",
                  false);
    if (query->search->traces_counted)
        add_issue_key(query, IG_TRACKING_ISSUE_TRACES("r.id"), false);
    add_issue_key(query, "r.created_ms", false);
    add_issue_key(query, "r.id", true);
}

/* What ends every order, so that no two rows stand alike. */
static void add_last_keys(struct ig_tracking_query *query)
{
    enum ig_tracking_kind kind = query->search->kind;
    bool runs = kind == IG_TRACKING_RUNS || kind == IG_TRACKING_TRACES;
    bool words = is_named_by_texts(kind);
    bool alone = query->search->orders_count == 0;
    if (kind == IG_TRACKING_ISSUES) {
        add_issue_keys(query);
        return;
    }
    if (!words && kind != IG_TRACKING_EXPERIMENTS) {
        add_registry_keys(query);
        return;
    }
    if (kind == IG_TRACKING_EXPERIMENTS
            ? alone
            : !ordered_by(query, runs ? IG_TRACKING_BY_START_TIME : IG_TRACKING_BY_CREATION_TIME)) {
        struct ig_tracking_key *newest = add_key(query, true);
        snprintf(newest->sql, IG_TRACKING_KEY_BYTES, runs ? "r.start_ms" : "r.created_ms");
    }
    struct ig_tracking_key *id = add_key(query, !words && !alone);
    id->type = words ? IG_TRACKING_KEY_WORDS : IG_TRACKING_KEY_WHOLE;
    snprintf(id->sql, IG_TRACKING_KEY_BYTES, "r.id");
}

static enum ig_code read_order(struct ig_tracking_order *out,
                               const struct ig_tracking_search *search, size_t i,
                               struct ig_err *err)
{
    if (search->kind != IG_TRACKING_LOGGED)
        return ig_tracking_order_parse(out, search->kind, search->orders[i], err);
    const struct ig_tracking_logged_order *order = &search->logged_orders[i];
    return ig_tracking_order_read(out, order->field, order->descending, err);
}

static enum ig_code read_orders(struct ig_tracking_query *query, struct ig_err *err)
{
    const struct ig_tracking_search *search = query->search;
    if (search->orders_count > IG_TRACKING_ORDERS_MAX)
        return ig_fail(err, IG_TOO_LARGE, "order_by: %zu clauses, at most %d", search->orders_count,
                       IG_TRACKING_ORDERS_MAX);
    for (size_t i = 0; i < search->orders_count; i++) {
        struct ig_tracking_order *order = &query->orders[i];
        if (read_order(order, search, i, err) != IG_OK) return err->code;
        for (size_t j = 0; search->kind != IG_TRACKING_LOGGED && j < i; j++) {
            const struct ig_tracking_identifier *other = &query->orders[j].what;
            if (other->entity != order->what.entity || other->field != order->what.field ||
                (!other->field && !ig_str_eq(other->key, order->what.key)))
                continue;
            return ig_fail(err, IG_INVALID, "`order_by` contains duplicate fields: '%.*s'",
                           IG_STR_ARGS(search->orders[i]));
        }
        if (order->what.entity == IG_TRACKING_ATTRIBUTE)
            add_attribute_keys(query, order);
        else
            add_row_keys(query, i);
    }
    add_last_keys(query);
    return IG_OK;
}

/* ---- the statement ---- */

/* A logged model's latest value by time, then step. */
static void join_logged_metric(struct ig_tracking_query *query, size_t i)
{
    const struct ig_tracking_of_dataset *of = &query->search->logged_orders[i].dataset;
    add(query, " left join (select model as run, kind, value, row_number() over (partition by model"
               " order by at_ms desc, step desc, run) as place from logged_model_metrics"
               " where key = ");
    add_value(query, IG_DB_T(query->orders[i].what.key));
    if (of->name.len) {
        add(query, " and dataset_name = ");
        add_value(query, IG_DB_T(of->name));
    }
    if (of->digest.len) {
        add(query, " and dataset_digest = ");
        add_value(query, IG_DB_T(of->digest));
    }
    ig_buf_printf(&query->sql, ") o%zu on o%zu.run = r.id and o%zu.place = 1", i, i, i);
}

static void begin(struct ig_tracking_query *query, const char *select)
{
    static const char *const tables[IG_TRACKING_KINDS_COUNT] = {
        "runs r",
        "experiments r",
        "registered_models r",
        "model_versions r join registered_models m on m.id = r.model",
        "logged_models r",
        "traces r",
        "evaluations r",
        "issues r"};
    ig_buf_reset(&query->sql);
    query->values_count = 0;
    ig_buf_printf(&query->sql, "select %s", select);
    for (size_t i = 0; i < query->keys_count; i++)
        ig_buf_printf(&query->sql, ", %s", query->keys[i].sql);
    ig_buf_printf(&query->sql, " from %s",
                  query->ranked ? "latest_metrics o0 cross join runs r"
                                : tables[query->search->kind]);
    for (size_t i = query->ranked; i < query->search->orders_count; i++) {
        enum ig_tracking_entity entity = query->orders[i].what.entity;
        if (entity == IG_TRACKING_ATTRIBUTE) continue;
        if (query->search->kind == IG_TRACKING_LOGGED) {
            join_logged_metric(query, i);
            continue;
        }
        bool traces = query->search->kind == IG_TRACKING_TRACES;
        ig_buf_printf(&query->sql, " left join %s o%zu on o%zu.run = r.id and o%zu.key = ",
                      traces && entity == IG_TRACKING_PARAM
                          ? "(select trace as run, key, value from trace_metadata)"
                      : traces ? "(select trace as run, key, value from trace_tags)"
                      : entity == IG_TRACKING_METRIC ? "latest_metrics"
                      : entity == IG_TRACKING_PARAM  ? "params"
                                                     : "run_tags",
                      i, i, i);
        add_value(query, IG_DB_T(query->orders[i].what.key));
    }
    add(query, query->ranked ? " where r.id = o0.run and o0.kind <> 1" : " where 1 = 1");
    if (!query->ranked) return;
    add(query, " and o0.experiment = ");
    add_value(query, IG_DB_I(query->search->experiments[0]));
    add(query, " and o0.key = ");
    add_value(query, IG_DB_T(query->orders[0].what.key));
}

/* a >= x and case when a <> x then a > x when b <> y then b < y ... else 1 = 0 end: as long as the
 * keys are many, and no deeper, since parsers bound depth. The first part is for an index. */
static void add_after(struct ig_tracking_query *query)
{
    const struct ig_tracking_key *first = &query->keys[query->ranked];
    ig_buf_printf(&query->sql, " and %s %s ", first->sql, first->descending ? "<=" : ">=");
    add_value(query, first->last);
    add(query, " and case");
    for (size_t i = query->ranked; i < query->keys_count; i++) {
        const struct ig_tracking_key *key = &query->keys[i];
        ig_buf_printf(&query->sql, " when %s <> ", key->sql);
        add_value(query, key->last);
        ig_buf_printf(&query->sql, " then %s %s ", key->sql, key->descending ? "<" : ">");
        add_value(query, key->last);
    }
    add(query, " else 1 = 0 end");
}

static enum ig_code run_query(struct ig_db_rows **rows, struct ig_tracking_query *query,
                              struct ig_db_tx *tx, struct ig_err *err)
{
    if (query->sql.overflowed || query->arena->overflowed)
        return ig_fail(err, IG_NO_MEMORY, "search");
    return ig_db_query_once(rows, tx, query->sql.ptr, query->values, query->values_count, err);
}

static struct ig_db_value id_value(const struct ig_tracking_query *query, struct ig_str id)
{
    int64_t number = 0;
    if (is_named_by_texts(query->search->kind)) return IG_DB_T(id);
    ig_str_to_i64(id, &number); /* checked with the token */
    return IG_DB_I(number);
}

/* Where the token's row stands now. */
static enum ig_code read_last(struct ig_tracking_query *query, struct ig_db_tx *tx,
                              struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    begin(query, "1");
    add(query, " and r.id = ");
    add_value(query, id_value(query, query->after));
    if (run_query(&rows, query, tx, err) != IG_OK) return err->code;
    bool found = ig_db_next(rows, err);
    for (size_t i = 0; found && i < query->keys_count; i++) {
        struct ig_tracking_key *key = &query->keys[i];
        int at = (int)i + 1;
        if (key->type == IG_TRACKING_KEY_WHOLE) key->last = IG_DB_I(ig_db_i64(rows, at));
        if (key->type == IG_TRACKING_KEY_REAL) key->last = IG_DB_F(ig_db_f64(rows, at));
        if (key->type == IG_TRACKING_KEY_WORDS)
            key->last = IG_DB_T(ig_db_text_dup(rows, at, query->arena));
    }
    ig_db_finish(rows);
    if (err->code != IG_OK || found) return err->code;
    return ig_fail(err, IG_INVALID, "Invalid page token, the row '%.*s' is gone",
                   IG_STR_ARGS(query->after));
}

static enum ig_code read_page(struct ig_tracking_query *query, struct ig_db_rows *rows,
                              struct ig_err *err)
{
    struct ig_tracking_found *out = query->out;
    size_t max = (size_t)query->search->results_max, count = 0;
    struct ig_str *ids = NULL, *marks = NULL;
    size_t ids_cap = 0, marks_cap = 0;
    bool more = false, marked = ig_tracking_are_removed(query->search->kind);
    while (ig_db_next(rows, err)) {
        more = count == max;
        if (more) break;
        ids = ig_arena_grow(query->arena, ids, count, &ids_cap, sizeof *ids);
        if (marked) marks = ig_arena_grow(query->arena, marks, count, &marks_cap, sizeof *marks);
        if (!ids || (marked && !marks)) return ig_fail(err, IG_NO_MEMORY, "search");
        if (marked) marks[count] = ig_tracking_token_mark(query, rows);
        ids[count++] = ig_db_text_dup(rows, 0, query->arena);
    }
    if (err->code != IG_OK) return err->code;
    out->ids = ids;
    out->marks = marked ? marks : ids;
    out->count = count;
    if (more) return ig_tracking_found_cut(out, count, query->arena, err);
    return query->arena->overflowed ? ig_fail(err, IG_NO_MEMORY, "search") : IG_OK;
}

/* The runs that have a metric come before those that lack it, or whose last value is none. So a
 * page of the former is the page, and an index has them in order: no sort of all runs. */
static bool may_be_ranked(const struct ig_tracking_query *query)
{
    const struct ig_tracking_search *search = query->search;
    return search->kind == IG_TRACKING_RUNS && search->experiments_count == 1 &&
           search->orders_count && query->orders[0].what.entity == IG_TRACKING_METRIC &&
           (!query->after.len || query->keys[0].last.integer == 0);
}

static enum ig_code search_rows(struct ig_tracking_query *query, struct ig_db_tx *tx,
                                struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    bool words = is_named_by_texts(query->search->kind);
    begin(query, words ? "r.id" : "cast(r.id as text)");
    add_filter(query);
    if (query->after.len) add_after(query);
    for (size_t i = query->ranked; i < query->keys_count; i++)
        ig_buf_printf(&query->sql, "%s %s%s", i > query->ranked ? "," : " order by",
                      query->keys[i].sql, query->keys[i].descending ? " desc" : "");
    add(query, " limit ");
    add_value(query, IG_DB_I(query->search->results_max + 1));
    if (run_query(&rows, query, tx, err) != IG_OK) return err->code;
    read_page(query, rows, err);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code search_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_tracking_query *query = context;
    if (query->after.len && !ig_tracking_are_removed(query->search->kind) &&
        read_last(query, tx, err) != IG_OK)
        return err->code;
    query->ranked = may_be_ranked(query);
    if (query->ranked && (search_rows(query, tx, err) != IG_OK || query->out->token.len))
        return err->code;
    query->ranked = false;
    return search_rows(query, tx, err);
}

/* ---- public ---- */

static enum ig_code check(const struct ig_tracking_search *search, struct ig_err *err)
{
    static const int RESULTS_MAX[IG_TRACKING_KINDS_COUNT] = {
        IG_TRACKING_RESULTS_MAX,  IG_TRACKING_RESULTS_MAX, IG_TRACKING_MODELS_MAX,
        IG_TRACKING_VERSIONS_MAX, IG_TRACKING_LOGGED_MAX,  IG_TRACKING_TRACES_MAX,
        IG_TRACKING_RESULTS_MAX,  IG_TRACKING_RESULTS_MAX};
    if (search->results_max < 1)
        return ig_fail(err, IG_INVALID,
                       "Invalid value %lld for parameter 'max_results' supplied. It must be a "
                       "positive integer",
                       (long long)search->results_max);
    if (search->results_max > RESULTS_MAX[search->kind])
        return ig_fail(err, IG_INVALID,
                       "Invalid value %lld for parameter 'max_results' supplied. It must be at "
                       "most %d",
                       (long long)search->results_max, RESULTS_MAX[search->kind]);
    if (search->experiments_count > IG_TRACKING_SEARCHED_MAX)
        return ig_fail(err, IG_INVALID, "experiment_ids: %zu experiments, at most %d",
                       search->experiments_count, IG_TRACKING_SEARCHED_MAX);
    if (search->datasets_count > IG_TRACKING_LOGGED_SETS_MAX)
        return ig_fail(err, IG_INVALID, "datasets: %zu given, expected at most %d",
                       search->datasets_count, IG_TRACKING_LOGGED_SETS_MAX);
    return IG_OK;
}

enum ig_code ig_tracking_found_cut(struct ig_tracking_found *found, size_t count,
                                   struct ig_arena *arena, struct ig_err *err)
{
    IG_ASSERT(count > 0 && count <= found->count);
    found->count = count;
    found->token = ig_str_view(
        ig_arena_printf(arena, "%s%.*s", found->digest, IG_STR_ARGS(found->marks[count - 1])));
    return arena->overflowed ? ig_fail(err, IG_NO_MEMORY, "search") : IG_OK;
}

static struct ig_tracking_query *new_query(const struct ig_tracking_search *search,
                                           struct ig_arena *arena, struct ig_err *err)
{
    struct ig_tracking_query *query = ig_arena_zalloc(arena, sizeof *query);
    struct ig_db_value *values = ig_arena_array(arena, VALUES_MAX, sizeof *values);
    if (!query || !values) {
        ig_fail(err, IG_NO_MEMORY, "search");
        return NULL;
    }
    query->search = search;
    query->arena = arena;
    query->values = values;
    ig_buf_init(&query->sql, SQL_BYTES_MAX);
    return query;
}

enum ig_code ig_tracking_search(struct ig_tracking_found *out, struct ig_db *db,
                                const struct ig_tracking_search *search, struct ig_arena *arena,
                                struct ig_err *err)
{
    struct ig_tracking_found found = {.token = IG_STR("")};
    if (check(search, err) != IG_OK) return err->code;
    struct ig_tracking_query *query = new_query(search, arena, err);
    if (!query) return err->code;
    query->out = &found;
    if (ig_tracking_filter_parse(&query->filter, search->kind, search->filter, arena, err) !=
            IG_OK ||
        read_orders(query, err) != IG_OK || ig_tracking_token_read(query, err) != IG_OK)
        goto out;
    if (search->nowhere) goto out;
    if (search->kind == IG_TRACKING_RUNS && search->experiments_count)
        ig_tracking_read(db, search_work, query, err);
    else if (!is_of_experiments(search->kind) || search->experiments_count)
        ig_db_read(db, search_work, query, err);
out:
    ig_buf_deinit(&query->sql);
    if (err->code == IG_OK) *out = found;
    return err->code;
}

struct count_call {
    struct ig_tracking_query *query;
    const struct ig_tracking_filter *filters;
    const struct ig_tracking_counts *counts;
};

static enum ig_code count_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct count_call *call = context;
    for (size_t i = 0; err->code == IG_OK && i < call->counts->count; i++) {
        struct ig_db_rows *rows = NULL;
        call->query->filter = call->filters[i];
        begin(call->query, "count(*)");
        add_filter(call->query);
        if (run_query(&rows, call->query, tx, err) != IG_OK) break;
        if (ig_db_next(rows, err)) call->counts->found[i] = ig_db_i64(rows, 0);
        ig_db_finish(rows);
    }
    return err->code;
}

enum ig_code ig_tracking_traces_count(const struct ig_tracking_counts *counts, struct ig_db *db,
                                      const struct ig_tracking_search *search,
                                      struct ig_arena *arena, struct ig_err *err)
{
    struct ig_tracking_filter *parsed = ig_arena_array(arena, counts->count, sizeof *parsed);
    IG_ASSERT(search->kind == IG_TRACKING_TRACES);
    if (!parsed) return ig_fail(err, IG_NO_MEMORY, "search");
    if (search->experiments_count > IG_TRACKING_SEARCHED_MAX)
        return ig_fail(err, IG_INVALID, "experiment_ids: %zu experiments, at most %d",
                       search->experiments_count, IG_TRACKING_SEARCHED_MAX);
    for (size_t i = 0; i < counts->count; i++) {
        counts->found[i] = 0;
        if (ig_tracking_filter_parse(&parsed[i], IG_TRACKING_TRACES, counts->filters[i], arena,
                                     err) != IG_OK)
            return err->code;
    }
    if (!search->experiments_count) return IG_OK;
    struct count_call call = {new_query(search, arena, err), parsed, counts};
    if (!call.query) return err->code;
    ig_db_read(db, count_work, &call, err);
    ig_buf_deinit(&call.query->sql);
    return err->code;
}
