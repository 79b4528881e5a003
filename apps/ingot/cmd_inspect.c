/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot inspect FILE`: what a model file or package, or a model of a server, holds. A package that
 * fails its golden rows is opened a second time without that check, described, and reported. */
#include "inspect_network.h"
#include "model_source.h"

#include "base/file.h"
#include "base/json.h"
#include "kernels/explain/explain.h"
#include "kernels/train/encoder.h"
#include "kernels/tree/tree_interventional.h"

#include <stdio.h>
#include <string.h>

struct totals {
    uint64_t leaves;
    uint32_t depth;
};

static struct totals count(const struct ig_model *model)
{
    struct totals totals = {0, 0};
    for (uint32_t i = 0; i < model->trees_count; i++) {
        totals.leaves += model->trees[i].leaves_count;
        if (model->trees[i].depth > totals.depth) totals.depth = model->trees[i].depth;
    }
    return totals;
}

/* Bytes of the tables that a method would build, whatever the background; 0: none. */
static size_t tables_of(const struct ig_model *model, enum ig_explainer method)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_interventional_plan plan = {0};
    bool pairs = ig_explainer_form(method) == IG_EXPLAIN_INTERACTIONS;
    const struct ig_tree_interventional_options options = {.interactions = pairs};
    if (!pairs && method != IG_EXPLAINER_TREE_INTERVENTIONAL) return 0;
    return ig_tree_interventional_plan(&plan, model, &options, &err) == IG_OK ? plan.table_bytes
                                                                              : 0;
}

static void print_explainers(const struct ig_package *package)
{
    printf("explainers\n");
    for (int i = 0; i < IG_EXPLAINERS_COUNT; i++) {
        enum ig_explainer method = (enum ig_explainer)i;
        if (!ig_explain_admits(package->engine, method)) continue;
        size_t bytes = tables_of(package->model, method);
        printf("  %-32s", ig_explainer_name(method));
        if (bytes) printf("  tables %.1f MB", (double)bytes / 1e6);
        putchar('\n');
    }
}

static struct ig_str objective(const struct ig_model *model)
{
    return model->objective.len ? model->objective : IG_STR("unknown");
}

static void print_features(const struct ig_schema *schema)
{
    enum { SHOWN = 40 };
    printf("features       %u\n", schema->features_count);
    for (uint32_t i = 0; i < schema->features_count && i < SHOWN; i++) {
        const struct ig_feature *feature = &schema->features[i];
        printf("  %-28.*s %s", IG_STR_ARGS(feature->name), ig_feature_type_name(feature->type));
        if (feature->categories_count) printf(", %u categories", feature->categories_count);
        if (feature->hashed) printf(" (known by hashes)");
        if (feature->required) printf(", required");
        putchar('\n');
    }
    if (schema->features_count > SHOWN) printf("  and %u more\n", schema->features_count - SHOWN);
}

static void print_classes(const struct ig_schema *schema)
{
    if (schema->target.len) printf("target         %.*s\n", IG_STR_ARGS(schema->target));
    if (!schema->classes_count) return;
    printf("classes        ");
    for (uint32_t i = 0; i < schema->classes_count; i++)
        printf("%s%.*s", i ? ", " : "", IG_STR_ARGS(schema->classes[i]));
    putchar('\n');
}

/* What runs it, and why not Ingot's own kernels. */
static void print_engine(const struct ig_package *package)
{
    if (!package->runtime.len)
        printf("engine         ingot\n");
    else
        printf("engine         %.*s %.*s: %.*s\n", IG_STR_ARGS(package->runtime),
               IG_STR_ARGS(package->runtime_version), IG_STR_ARGS(package->runtime_reason));
}

static const char *kind_name(enum ig_model_kind kind)
{
    if (kind == IG_MODEL_DERIVED) return "trees over columns derived from the row";
    if (kind == IG_MODEL_NETWORK) return "neural network";
    return kind == IG_MODEL_LINEAR ? "linear" : "graph";
}

static void print_text(const struct ig_package *package)
{
    const struct ig_model *model = package->model;
    struct totals totals = count(model);
    if (package->name.len) printf("name           %.*s\n", IG_STR_ARGS(package->name));
    printf("format         %s\nversion        %.*s\nobjective      %.*s\ntask           %s\n",
           package->format->name, IG_STR_ARGS(model->source_version), IG_STR_ARGS(objective(model)),
           ig_task_name(package->schema.task));
    if (model->kind == IG_MODEL_TREES)
        printf("trees          %u, depth up to %u, %llu leaves, %u nodes\n", model->trees_count,
               totals.depth, (unsigned long long)totals.leaves, model->nodes_count);
    else
        printf("kind           %s\n", kind_name(model->kind));
    if (model->network) ig_inspect_network_print(model->network);
    if (model->encoder)
        printf("encoder        %u columns to %u inputs\n", model->encoder->features_count,
               model->encoder->inputs_count);
    print_engine(package);
    printf("outputs        %u (%s)\nbase margin    ", model->outputs_count,
           ig_transform_name(model->transform));
    for (uint32_t i = 0; i < model->outputs_count && i < 20; i++)
        printf("%s%.9g", i ? ", " : "", model->base_margin[i]);
    printf("\ngolden rows    %u\nmemory         %.1f MB\nkernel         %s\nmodel digest   %s\n",
           package->golden_rows_count, (double)package->memory_bytes / 1e6,
           ig_engine_isa(package->engine), package->model_digest);
    print_classes(&package->schema);
    print_explainers(package);
    print_features(&package->schema);
}

static void write_features(struct ig_json_out *out, const struct ig_schema *schema)
{
    ig_json_out_key(out, IG_STR("features"));
    ig_json_out_array(out);
    for (uint32_t i = 0; i < schema->features_count; i++) {
        const struct ig_feature *feature = &schema->features[i];
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "name", feature->name);
        ig_json_out_kv_str(out, "type", ig_str_view(ig_feature_type_name(feature->type)));
        if (feature->hashed) ig_json_out_kv_bool(out, "categories_hashed", true);
        if (feature->required) ig_json_out_kv_bool(out, "required", true);
        if (feature->categories_count) {
            ig_json_out_key(out, IG_STR("categories"));
            ig_json_out_array(out);
            for (uint32_t k = 0; k < feature->categories_count; k++)
                ig_json_out_str(out, feature->categories[k]);
            ig_json_out_array_end(out);
        }
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

static void write_explainers(struct ig_json_out *out, const struct ig_package *package)
{
    ig_json_out_key(out, IG_STR("explainers"));
    ig_json_out_array(out);
    for (int i = 0; i < IG_EXPLAINERS_COUNT; i++) {
        enum ig_explainer method = (enum ig_explainer)i;
        if (!ig_explain_admits(package->engine, method)) continue;
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "method", ig_str_view(ig_explainer_name(method)));
        ig_json_out_kv_i64(out, "table_bytes", (int64_t)tables_of(package->model, method));
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

static void write_engine(struct ig_json_out *out, const struct ig_package *package)
{
    bool own = !package->runtime.len;
    ig_json_out_kv_str(out, "engine", own ? IG_STR("ingot") : package->runtime);
    if (own) return;
    ig_json_out_kv_str(out, "engine_version", package->runtime_version);
    ig_json_out_kv_str(out, "engine_reason", package->runtime_reason);
}

static void write_model(struct ig_json_out *out, const struct ig_package *package)
{
    const struct ig_model *model = package->model;
    struct totals totals = count(model);
    ig_json_out_kv_str(out, "name", package->name);
    ig_json_out_kv_str(out, "format", ig_str_view(package->format->name));
    ig_json_out_kv_str(out, "version", model->source_version);
    ig_json_out_kv_str(out, "objective", objective(model));
    write_engine(out, package);
    ig_json_out_kv_str(out, "task", ig_str_view(ig_task_name(package->schema.task)));
    ig_json_out_kv_i64(out, "trees", model->trees_count);
    ig_json_out_kv_i64(out, "depth", totals.depth);
    ig_json_out_kv_i64(out, "leaves", (int64_t)totals.leaves);
    ig_json_out_kv_i64(out, "nodes", model->nodes_count);
    if (model->network) ig_inspect_network_write(out, model->network);
    if (model->encoder) ig_json_out_kv_i64(out, "encoder_inputs", model->encoder->inputs_count);
    ig_json_out_kv_i64(out, "outputs", model->outputs_count);
    ig_json_out_kv_str(out, "transform", ig_str_view(ig_transform_name(model->transform)));
    ig_json_out_key(out, IG_STR("base_margin"));
    ig_json_out_array(out);
    for (uint32_t i = 0; i < model->outputs_count; i++) ig_json_out_f64(out, model->base_margin[i]);
    ig_json_out_array_end(out);
    ig_json_out_kv_i64(out, "golden_rows", package->golden_rows_count);
    ig_json_out_kv_i64(out, "memory_bytes", (int64_t)package->memory_bytes);
    ig_json_out_kv_str(out, "kernel", ig_str_view(ig_engine_isa(package->engine)));
    ig_json_out_kv_str(out, "model_digest", ig_str_view(package->model_digest));
}

static bool print_json(const struct ig_package *package)
{
    struct ig_buf buf;
    struct ig_json_out out;
    const struct ig_schema *schema = &package->schema;
    ig_buf_init(&buf, (size_t)256 << 20);
    ig_json_out_init(&out, &buf);
    ig_json_out_object(&out);
    write_model(&out, package);
    ig_json_out_kv_str(&out, "target", schema->target);
    ig_json_out_key(&out, IG_STR("classes"));
    ig_json_out_array(&out);
    for (uint32_t i = 0; i < schema->classes_count; i++) ig_json_out_str(&out, schema->classes[i]);
    ig_json_out_array_end(&out);
    write_features(&out, schema);
    write_explainers(&out, package);
    ig_json_out_key(&out, IG_STR("metadata"));
    ig_json_out_raw(&out, package->metadata_json.len ? package->metadata_json : IG_STR("{}"));
    ig_json_out_object_end(&out);
    bool whole = !buf.overflowed;
    if (whole) printf("%.*s\n", IG_STR_ARGS(ig_buf_view(&buf)));
    ig_buf_deinit(&buf);
    return whole;
}

int ig_cmd_inspect(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT, ignored = IG_ERR_INIT;
    struct ig_package *package = NULL;
    struct ig_package_limits limits = {.skip_golden = true};
    if (ig_model_source_open_uri(&package, cli, cli->operands[0], &err) != IG_OK &&
        (ig_model_source_is_uri(cli->operands[0]) ||
         ig_package_open(&package, IG_FILE_CWD, cli->operands[0], &limits, &ignored) != IG_OK))
        return ig_cli_fail(cli, &err, NULL);
    if (strcmp(ig_cli_text(cli, "format"), "json") == 0)
        print_json(package);
    else
        print_text(package);
    ig_package_free(package);
    if (!ig_cli_flush(cli, stdout)) return IG_EXIT_FAILURE;
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, NULL);
}
