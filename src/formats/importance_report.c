/* SPDX-License-Identifier: Apache-2.0 */
/* Which importance is asked for, and of what: a package by its engine, or models of the caller's.
 */
#include "formats/importance_report_priv.h"

#include "kernels/explain/explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 64, ALIGNMENT = 64 };

static int by_importance(const void *a, const void *b)
{
    const struct ig_importance_item *x = a, *y = b;
    if (x->importance != y->importance) return x->importance < y->importance ? 1 : -1;
    size_t shared = x->name.len < y->name.len ? x->name.len : y->name.len;
    int order = memcmp(x->name.ptr, y->name.ptr, shared);
    return order ? order : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

/* ---- a package's answers ---- */

struct own {
    const struct ig_package *package;
    struct ig_explain *explain; /* shap */
};

/* Exact contributions where the model has them, else against rows spread over the table. */
static enum ig_code prepare(struct ig_importance_run *run)
{
    struct own *own = run->context;
    const struct ig_engine *engine = own->package->engine;
    struct ig_background background;
    bool plain = ig_engine_explains(engine);
    if (ig_importance_background(&background, run) != IG_OK) return run->err->code;
    struct ig_explain_spec spec = {.method = ig_explain_default(engine, !plain),
                                   .background = plain ? NULL : &background,
                                   .players = &run->spec->groups.players};
    if (ig_explain_new(&own->explain, engine, &spec, run->err) == IG_OK)
        run->out->method = ig_explainer_name(ig_explain_method(own->explain));
    return run->err->code;
}

static enum ig_code answer(void *context, struct ig_row_answers *out, const struct ig_row_ask *ask,
                           struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_importance_run *run = context;
    const struct own *own = run->context;
    const struct ig_engine *engine = own->package->engine;
    const struct ig_model *model = own->package->model;
    if (ask->explain) {
        const struct ig_explain_options options = {.output = IG_EXPLAIN_PREDICTED};
        const struct ig_explain_rows rows = {ask->rows, ask->rows_count};
        struct ig_explanations found;
        if (ig_explain_run(&found, own->explain, &rows, &options, arena, err) == IG_OK)
            *out = (struct ig_row_answers){found.margins, NULL, found.contributions};
        return err->code;
    }
    size_t bytes = ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, ask->rows_count);
    void *scratch = ig_arena_alloc_aligned(arena, bytes ? bytes : ALIGNMENT, ALIGNMENT);
    double *margins =
        ig_arena_array(arena, ask->rows_count, model->outputs_count * sizeof *margins);
    double *predictions =
        ig_arena_array(arena, ask->rows_count, model->predictions_count * sizeof *predictions);
    if (!scratch || !margins || !predictions) return ig_importance_no_memory(run);
    ig_engine_predict(engine, ask->rows, ask->rows_count,
                      (struct ig_engine_scores){margins, predictions, NULL}, scratch);
    *out = (struct ig_row_answers){margins, predictions, NULL};
    return ig_engine_check(engine, margins, ask->rows_count * model->outputs_count, err);
}

/* ---- of the trees ---- */

/* The groups among the features of the part's own schema. */
static enum ig_code groups_of(struct ig_groups *out, const struct ig_importance_run *run,
                              const struct ig_importance_part *part)
{
    const struct ig_groups *groups = &run->spec->groups;
    const struct ig_schema *own = &part->package->schema, *rows = run->models->schema;
    *out = (struct ig_groups){{NULL, own->features_count}, NULL};
    if (!groups->players.of_feature || part->meta) return IG_OK;
    uint32_t *player_of = ig_arena_array(run->arena, own->features_count, sizeof *player_of);
    if (!player_of) return ig_importance_no_memory(run);
    for (uint32_t f = 0; f < own->features_count; f++) {
        int32_t feature = ig_schema_feature_index(rows, own->features[f].name);
        IG_ASSERT(feature >= 0);
        player_of[f] = groups->players.of_feature[feature];
    }
    *out = (struct ig_groups){{player_of, groups->players.count}, groups->names};
    return IG_OK;
}

static enum ig_code run_trees(struct ig_importance_run *run, const struct ig_importance_part *part,
                              enum ig_importance kind)
{
    struct ig_groups groups;
    if (groups_of(&groups, run, part) != IG_OK) return run->err->code;
    double *values = ig_arena_array(run->arena, groups.players.count + (size_t)1, sizeof *values);
    if (!values) return ig_importance_no_memory(run);
    if (ig_package_importance(values, part->package, kind, &groups.players, run->err) != IG_OK ||
        ig_importance_start_items(run, &part->package->schema, &groups) != IG_OK)
        return run->err->code;
    for (size_t i = 0; i < run->out->count; i++) run->items[i].importance = values[i];
    qsort(run->items, run->out->count, sizeof *run->items, by_importance);
    return IG_OK;
}

/* Each model for itself; what has no such importance says why. */
static enum ig_code run_parts(struct ig_importance_run *run,
                              const struct ig_importance_models *models, enum ig_importance kind)
{
    size_t failed = 0;
    for (size_t i = 0; i < models->parts_count; i++) {
        struct ig_importance_part *part = &models->parts[i];
        part->items = NULL;
        part->count = 0;
        part->failure = IG_STR("");
        if (run_trees(run, part, kind) == IG_OK) {
            part->items = run->items;
            part->count = run->out->count;
        } else if (run->err->code == IG_UNSUPPORTED && ++failed < models->parts_count) {
            part->failure = ig_arena_dup(run->arena, ig_str_view(run->err->message));
            ig_err_clear(run->err);
        } else {
            return run->err->code;
        }
    }
    if (models->parts_count == 1) return IG_OK;
    run->items = NULL;
    run->out->count = 0;
    run->out->parts = models->parts;
    run->out->parts_count = models->parts_count;
    return IG_OK;
}

/* Gain where all models that have trees know it. */
static enum ig_importance default_kind(const struct ig_importance_models *models)
{
    bool gains = true;
    for (size_t i = 0; i < models->parts_count; i++) {
        const struct ig_package *package = models->parts[i].package;
        if (package->model->kind == IG_MODEL_TREES && !ig_package_has_gains(package)) gains = false;
    }
    return gains ? IG_IMPORTANCE_GAIN : IG_IMPORTANCE_SPLIT;
}

static enum ig_code unknown_kind(const struct ig_importance_run *run)
{
    struct ig_buf known;
    ig_buf_init(&known, 1024);
    for (int i = 0; i < IG_IMPORTANCES_COUNT; i++)
        ig_buf_printf(&known, "%s, ", ig_importance_name((enum ig_importance)i));
    ig_fail(run->err, IG_INVALID, "kind: unknown kind '%.*s'; known: %.*sshap, permutation",
            (int)(run->out->kind.len > SHOWN_MAX ? SHOWN_MAX : run->out->kind.len),
            run->out->kind.ptr, IG_STR_ARGS(ig_buf_view(&known)));
    ig_buf_deinit(&known);
    return run->err->code;
}

/* ---- the call ---- */

static enum ig_code run_kind(struct ig_importance_run *run,
                             const struct ig_importance_models *models)
{
    struct ig_importance_report *out = run->out;
    enum ig_importance kind;
    *out = (struct ig_importance_report){.kind = run->spec->kind, .score = NAN};
    if (!out->kind.len)
        out->kind = run->spec->csv.len ? IG_STR("shap")
                                       : ig_str_view(ig_importance_name(default_kind(models)));
    if (ig_importance_parse(out->kind, &kind))
        run_parts(run, models, kind);
    else if (ig_str_is(out->kind, "shap"))
        ig_importance_shap(run);
    else if (ig_str_is(out->kind, "permutation"))
        ig_importance_permutation(run);
    else
        unknown_kind(run);
    ig_table_free(run->table);
    if (run->err->code != IG_OK) return run->err->code;
    if (run->items) qsort(run->items, out->count, sizeof *run->items, by_importance);
    out->items = run->items;
    return IG_OK;
}

enum ig_code ig_importance_models_run(struct ig_importance_report *out,
                                      const struct ig_importance_models *models,
                                      const struct ig_importance_spec *spec, struct ig_arena *arena,
                                      struct ig_err *err)
{
    struct ig_importance_run run = {
        .models = &models->rows, .spec = spec, .out = out, .arena = arena, .err = err};
    return run_kind(&run, models);
}

enum ig_code ig_importance_report_run(struct ig_importance_report *out,
                                      const struct ig_package *package,
                                      const struct ig_importance_spec *spec, struct ig_arena *arena,
                                      struct ig_err *err)
{
    struct own own = {package, NULL};
    const struct ig_row_model lone = {.model = package->model};
    struct ig_importance_part part = {.package = package};
    struct ig_importance_run run = {
        .spec = spec, .out = out, .prepare = prepare, .context = &own, .arena = arena, .err = err};
    const struct ig_importance_models models = {.rows = {.schema = &package->schema,
                                                         .models = &lone,
                                                         .models_count = 1,
                                                         .answer = answer,
                                                         .context = &run},
                                                .parts = &part,
                                                .parts_count = 1};
    run.models = &models.rows;
    run_kind(&run, &models);
    ig_explain_free(own.explain);
    return err->code;
}
