/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot edge ...`: models for devices. What is measured here and what `run` prints comes from
 * the device runtime itself (apps/edge), built for this machine. */
#include "cmd_edge.h"

#include "block.h"
#include "ingot_edge.h"
#include "model_source.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "formats/edge/edge.h"
#include "formats/format.h"
#include "kernels/train/encoder.h"

#include <math.h>
#include <string.h>

enum { FILE_MAX = INT32_MAX };

/* A row as the network itself takes it. */
struct encoded {
    float *floats;
    double *inputs;
};

/* A compact file, loaded and ready. */
struct device {
    struct ig_buf file;
    struct ige_model model;
    struct ige_interpreter interpreter;
    void *arena;
    double bound; /* no margin is off by more; NaN: the file came as it is, and does not say */
    struct ig_arena memory;
    struct encoded encoded;
};

enum ig_compact_want ig_cmd_edge_want(const struct ig_cli *cli)
{
    static const char *const NAMES[] = {"exact", "float32", "int16", "int8"};
    int want = 0;
    while (strcmp(NAMES[want], ig_cli_text(cli, "leaves")) != 0) want++;
    return (enum ig_compact_want)want;
}

static enum ig_code pack(struct device *device, const struct ig_cli *cli,
                         const struct ig_model *model, struct ig_err *err)
{
    struct ig_cmd_edge_compact compact;
    if (ig_cmd_edge_compact(&compact, cli, model, err) == IG_OK) {
        device->bound = 0;
        for (uint32_t o = 0; compact.trees && o < model->outputs_count; o++)
            device->bound = fmax(device->bound, compact.trees->error_bounds[o]);
        ig_cmd_edge_write(&device->file, &compact, err);
    }
    ig_cmd_edge_compact_free(&compact);
    return err->code;
}

/* The bytes of `source` when it is a compact file by itself. */
static bool read_compact(struct device *device, const char *source)
{
    struct ig_err ignored = IG_ERR_INIT;
    if (ig_model_source_is_uri(source) ||
        ig_file_read(&device->file, IG_FILE_CWD, source, &ignored) != IG_OK)
        return false;
    if (ig_edge_probe(ig_buf_view(&device->file))) return true;
    ig_buf_reset(&device->file);
    return false;
}

static enum ig_code start(struct device *device, struct ig_err *err)
{
    static const char *const WORDS[] = {"", "it is broken", "its bytes have changed",
                                        "it asks for what the runtime does not do", ""};
    enum ige_status status = ige_load(&device->model, device->file.ptr, device->file.len);
    if (status != IGE_OK)
        return ig_fail(err, IG_CORRUPT, "the device runtime refuses the file: %s", WORDS[status]);
    size_t bytes = ige_arena_bytes(&device->model);
    device->arena = ig_arena_alloc_aligned(&device->memory, bytes, 8);
    if (!device->arena) return ig_fail(err, IG_NO_MEMORY, "no memory for an arena of %zu", bytes);
    ige_allocate_tensors(&device->interpreter, &device->model, device->arena, bytes);
    return IG_OK;
}

static void init(struct device *device)
{
    *device = (struct device){.bound = (double)NAN};
    ig_buf_init(&device->file, FILE_MAX);
    ig_arena_init(&device->memory, 4096, FILE_MAX);
}

static void deinit(struct device *device)
{
    ig_buf_deinit(&device->file);
    ig_arena_deinit(&device->memory);
}

/* The operand as a device, whatever it was. */
static enum ig_code open_device(struct device *device, const struct ig_cli *cli, struct ig_err *err)
{
    const char *source = cli->operands[0];
    struct ig_package *package = NULL;
    init(device);
    if (read_compact(device, source)) return start(device, err);
    if (ig_model_source_open_uri(&package, cli, source, err) == IG_OK)
        pack(device, cli, package->model, err);
    ig_package_free(package);
    return err->code == IG_OK ? start(device, err) : err->code;
}

/* ---- what it takes ---- */

struct parts {
    uint32_t splits, leaves, thresholds, sets;
    uint64_t nodes;
    uint32_t rest;
    size_t arena;
};

static struct parts measure(const struct device *device)
{
    const struct ige_model *model = &device->model;
    struct parts parts = {.arena = ige_arena_bytes(model)};
    const uint8_t *end = model->sets ? model->set_starts : model->tree_bytes;
    uint32_t splits = (model->nodes_bytes - model->trees * model->leaf_bytes) /
                      (model->node_bytes + model->leaf_bytes);
    parts.nodes = 2 * (uint64_t)splits + model->trees;
    parts.splits = splits * model->node_bytes;
    parts.leaves = (splits + model->trees) * model->leaf_bytes +
                   model->table_rows * model->value_bytes * model->leaf_values;
    parts.thresholds = (uint32_t)(end - model->keys);
    if (model->sets) parts.sets = (uint32_t)(model->tree_bytes - model->set_starts);
    parts.rest =
        (uint32_t)device->file.len - parts.splits - parts.leaves - parts.thresholds - parts.sets;
    return parts;
}

static const char *leaf_name(const struct ige_model *model)
{
    static const char *const NAMES[] = {"float32", "float64", "int16", "int8"};
    return NAMES[model->leaf];
}

static bool is_network(const struct device *device)
{
    return device->model.network.tensors != NULL;
}

static void print_text(const struct device *device)
{
    if (is_network(device)) {
        ig_cmd_edge_network_text(&device->interpreter, device->file.len);
        return;
    }
    const struct ige_model *model = &device->model;
    struct parts parts = measure(device);
    double nodes = parts.nodes ? (double)parts.nodes : 1;
    printf("features       %u\noutputs        %u\ntrees          %u, %llu nodes\n", model->features,
           model->outputs, model->trees, (unsigned long long)parts.nodes);
    printf("leaves         %s%s", leaf_name(model), model->index_bytes ? ", shared" : "");
    if (ige_output(&device->interpreter)->type == IGE_INT32)
        printf(", summed in units of 2^%d", model->exponent);
    printf("\nfile           %zu bytes, %.2f a node\n", device->file.len,
           (double)device->file.len / nodes);
    printf("  splits       %u, of %u bytes each\n  leaves       %u\n  thresholds   %u\n",
           parts.splits, model->node_bytes, parts.leaves, parts.thresholds);
    printf("  categories   %u\n  rest         %u\n", parts.sets, parts.rest);
    printf("RAM            %zu bytes of arena\n", parts.arena);
    if (!isnan(device->bound)) printf("margins        off by at most %.3g\n", device->bound);
}

static void trees_json(struct ig_json_out *out, const struct device *device)
{
    const struct ige_model *model = &device->model;
    struct parts parts = measure(device);
    ig_json_out_kv_i64(out, "features", model->features);
    ig_json_out_kv_i64(out, "outputs", model->outputs);
    ig_json_out_kv_i64(out, "trees", model->trees);
    ig_json_out_kv_i64(out, "nodes", (int64_t)parts.nodes);
    ig_json_out_kv_str(out, "leaves", ig_str_view(leaf_name(model)));
    ig_json_out_kv_i64(out, "scale_exponent", ige_output(&device->interpreter)->exponent);
    ig_json_out_kv_i64(out, "file_bytes", (int64_t)device->file.len);
    ig_json_out_kv_i64(out, "split_bytes", parts.splits);
    ig_json_out_kv_i64(out, "leaf_bytes", parts.leaves);
    ig_json_out_kv_i64(out, "threshold_bytes", parts.thresholds);
    ig_json_out_kv_i64(out, "category_bytes", parts.sets);
    ig_json_out_kv_i64(out, "other_bytes", parts.rest);
    ig_json_out_kv_i64(out, "arena_bytes", (int64_t)parts.arena);
    if (!isnan(device->bound)) {
        ig_json_out_key(out, IG_STR("margin_error_bound"));
        ig_json_out_f64(out, device->bound);
    }
}

static void print_json(const struct device *device)
{
    struct ig_buf buf;
    struct ig_json_out out;
    ig_buf_init(&buf, 1 << 20);
    ig_json_out_init(&out, &buf);
    ig_json_out_object(&out);
    if (is_network(device))
        ig_cmd_edge_network_json(&out, &device->interpreter, device->file.len);
    else
        trees_json(&out, device);
    ig_json_out_object_end(&out);
    printf("%.*s\n", IG_STR_ARGS(ig_buf_view(&buf)));
    ig_buf_deinit(&buf);
}

static int finish(struct device *device, const struct ig_cli *cli, const struct ig_err *err)
{
    bool good = err->code == IG_OK;
    if (good && strcmp(ig_cli_text(cli, "format"), "json") == 0)
        print_json(device);
    else if (good)
        print_text(device);
    deinit(device);
    if (!good) return ig_cli_fail(cli, err, NULL);
    return ig_cli_flush(cli, stdout) ? IG_EXIT_OK : IG_EXIT_FAILURE;
}

int ig_cmd_edge_inspect(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct device device;
    open_device(&device, cli, &err);
    return finish(&device, cli, &err);
}

int ig_cmd_edge_convert(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct device device;
    if (open_device(&device, cli, &err) == IG_OK)
        ig_file_replace(IG_FILE_CWD, ig_cli_text(cli, "output"), ig_buf_view(&device.file), &err);
    return finish(&device, cli, &err);
}

/* ---- rows ---- */

/* How the device's margins differ from the model's. */
struct difference {
    double greatest;
    uint64_t rows, agreeing;
};

/* Of the first `count` margins. */
static int32_t class_of(const struct ig_model *model, const double *margins, uint32_t count)
{
    int32_t best = 0;
    if (count == 1) return margins[0] > (model->transform == IG_TRANSFORM_PROBABILITY ? 0.5 : 0);
    for (uint32_t o = 1; o < count; o++)
        if (margins[o] > margins[best]) best = (int32_t)o;
    return best;
}

static void print_row(const struct ig_block *block, const struct device *device, bool classes)
{
    uint32_t outputs = classes ? 0 : ig_cmd_edge_values(&device->interpreter);
    if (classes) fprintf(block->out, "%d", ige_class(&device->interpreter));
    for (uint32_t o = 0; o < outputs; o++)
        fprintf(block->out, "%s%.17g", o ? "," : "", ig_cmd_edge_value(&device->interpreter, o));
    fputc('\n', block->out);
}

/* What a device's program, `edge sketch` and `edge agent` take. */
static void print_inputs(const struct ig_block *block, const double *inputs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i) fputc(',', block->out);
        if (isnan(inputs[i]))
            fputs("NaN", block->out);
        else
            fprintf(block->out, "%.17g", inputs[i]);
    }
    fputc('\n', block->out);
}

static void compare_row(struct difference *difference, const struct ig_model *model,
                        const struct device *device, const double *margins)
{
    for (uint32_t o = 0; o < model->outputs_count; o++)
        difference->greatest = fmax(difference->greatest,
                                    fabs(ig_cmd_edge_value(&device->interpreter, o) - margins[o]));
    difference->rows++;
    uint32_t outputs = ige_output(&device->interpreter)->count; /* of a network, the first one's */
    difference->agreeing += class_of(model, margins, outputs) == ige_class(&device->interpreter);
}

/* A network behind an encoder takes what that makes of a row. */
static enum ig_code make_room(struct encoded *encoded, const struct ig_model *model,
                              struct ig_arena *arena, struct ig_err *err)
{
    uint32_t count = model->encoder ? model->encoder->inputs_count : 0;
    encoded->floats = ig_arena_array(arena, count, sizeof *encoded->floats);
    encoded->inputs = ig_arena_array(arena, count, sizeof *encoded->inputs);
    return arena->overflowed ? ig_fail(err, IG_NO_MEMORY, "no memory for %u inputs", count) : IG_OK;
}

static const double *encode(const struct encoded *encoded, const struct ig_model *model,
                            const double *row)
{
    if (!model->encoder) return row;
    ig_encoder_run(model->encoder, row, 1, encoded->floats);
    for (uint32_t i = 0; i < model->encoder->inputs_count; i++)
        encoded->inputs[i] = (double)encoded->floats[i];
    return encoded->inputs;
}

static void inputs_of_block(struct ig_block *block, struct device *device)
{
    const struct ig_model *model = block->package->model;
    uint32_t count = model->encoder ? model->encoder->inputs_count : model->features_count;
    for (size_t i = 0; i < block->rows_count; i++)
        print_inputs(block,
                     encode(&device->encoded, model, block->values + i * model->features_count),
                     count);
}

static void run_block(struct ig_block *block, struct device *device, bool classes,
                      struct difference *difference)
{
    const struct ig_model *model = block->package->model;
    if (difference)
        ig_engine_margin(block->package->engine, block->values, block->rows_count, block->margins,
                         block->scratch);
    for (size_t i = 0; i < block->rows_count; i++) {
        const double *row = block->values + i * model->features_count;
        ig_cmd_edge_set_row(&device->interpreter, encode(&device->encoded, model, row));
        ige_invoke(&device->interpreter);
        if (difference)
            compare_row(difference, model, device, block->margins + i * model->outputs_count);
        else
            print_row(block, device, classes);
    }
}

int ig_cmd_edge_run(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct difference difference = {0};
    struct ig_block block;
    struct device device;
    bool compare = ig_cli_flag(cli, "compare"), classes = ig_cli_flag(cli, "class");
    bool inputs = ig_cli_flag(cli, "inputs");
    if (compare + classes + inputs > 1)
        return ig_cli_usage(cli, "--class, --compare and --inputs exclude each other");
    init(&device);
    if (ig_block_open(&block, cli, IG_ENGINE_MARGIN, &err) == IG_OK &&
        (read_compact(&device, ig_cli_text(cli, "model")) ||
         pack(&device, cli, block.package->model, &err) == IG_OK) &&
        start(&device, &err) == IG_OK &&
        make_room(&device.encoded, block.package->model, &device.memory, &err) == IG_OK)
        while (ig_block_next(&block, &err)) {
            if (inputs)
                inputs_of_block(&block, &device);
            else
                run_block(&block, &device, classes, compare ? &difference : NULL);
        }
    if (err.code == IG_OK && compare)
        fprintf(block.out, "rows %llu, greatest difference of a margin %.3g, same class %llu\n",
                (unsigned long long)difference.rows, difference.greatest,
                (unsigned long long)difference.agreeing);
    bool written = ig_block_close(&block, cli);
    deinit(&device);
    if (err.code != IG_OK) return ig_cli_fail(cli, &err, NULL);
    return written ? IG_EXIT_OK : IG_EXIT_FAILURE;
}
