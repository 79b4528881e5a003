/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot edge ...`: models for devices. What is measured here and what `run` prints comes from
 * the device runtime itself (apps/edge), built for this machine. */
#include "cmd_edge.h"

#include "block.h"
#include "model_source.h"

#include "base/file.h"

#include <math.h>
#include <string.h>

/* As bits, 1 << enum ig_edge_option. */
static unsigned options_given(const struct ig_cli *cli)
{
    unsigned given = 0;
    for (unsigned i = 0; i < IG_EDGE_OPTIONS_COUNT; i++) {
        const char *name = ig_edge_option_name((enum ig_edge_option)i, IG_EDGE_OF_CLI);
        if (ig_cli_given(cli, name + strlen("--"))) given |= 1U << i;
    }
    return given;
}

enum ig_code ig_cmd_edge_choice(struct ig_edge_choice *out, const struct ig_cli *cli,
                                enum ig_edge_format format, const struct ig_package *package,
                                struct ig_err *err)
{
    if (ig_edge_options_check(options_given(cli), IG_EDGE_OF_CLI, format, package->model, err) !=
        IG_OK)
        return err->code;
    return ig_edge_choice_parse(out, ig_str_view(ig_cli_text(cli, "leaves")),
                                ig_str_view(ig_cli_text(cli, "rounding")), err);
}

static enum ig_code pack(struct ig_edge_device *device, const struct ig_cli *cli,
                         const struct ig_package *package, struct ig_err *err)
{
    struct ig_edge_choice choice;
    if (ig_cmd_edge_choice(&choice, cli, IG_EDGE_FORMAT_IGE, package, err) != IG_OK)
        return err->code;
    return ig_edge_device_pack(device, package, &choice, err);
}

/* The bytes of `source` when it is a compact file by itself. */
static bool read_compact(struct ig_edge_device *device, const char *source)
{
    struct ig_err ignored = IG_ERR_INIT;
    if (ig_model_source_is_uri(source) ||
        ig_file_read(&device->file, IG_FILE_CWD, source, &ignored) != IG_OK)
        return false;
    if (ig_edge_probe(ig_buf_view(&device->file))) return true;
    ig_buf_reset(&device->file);
    return false;
}

/* A compact file is what it is. */
static enum ig_code start_compact(struct ig_edge_device *device, const struct ig_cli *cli,
                                  struct ig_err *err)
{
    unsigned given = options_given(cli);
    for (unsigned i = 0; i < IG_EDGE_OPTIONS_COUNT; i++)
        if (given & 1U << i)
            return ig_fail(err, IG_INVALID, "%s: the model is a compact file already",
                           ig_edge_option_name((enum ig_edge_option)i, IG_EDGE_OF_CLI));
    return ig_edge_device_start(device, err);
}

/* The operand as a device, whatever it was. */
static enum ig_code open_device(struct ig_edge_device *device, const struct ig_cli *cli,
                                struct ig_err *err)
{
    const char *source = cli->operands[0];
    struct ig_package *package = NULL;
    ig_edge_device_init(device);
    if (read_compact(device, source)) return start_compact(device, cli, err);
    if (ig_model_source_open_uri(&package, cli, source, err) == IG_OK)
        pack(device, cli, package, err);
    ig_package_free(package);
    return err->code == IG_OK ? ig_edge_device_start(device, err) : err->code;
}

/* ---- what it takes ---- */

static void print_trees(const struct ig_edge_device *device)
{
    const struct ige_model *model = &device->model;
    struct ig_edge_tree_facts facts = ig_edge_device_trees(device);
    double nodes = facts.nodes ? (double)facts.nodes : 1;
    printf("features       %u\noutputs        %u\ntrees          %u, %llu nodes\n", model->features,
           model->outputs, model->trees, (unsigned long long)facts.nodes);
    printf("leaves         %s%s", facts.leaf, model->index_bytes ? ", shared" : "");
    if (ige_output(&device->interpreter)->type == IGE_INT32)
        printf(", summed in units of 2^%d", model->exponent);
    printf("\nfile           %zu bytes, %.2f a node\n", device->file.len,
           (double)device->file.len / nodes);
    printf("  splits       %u, of %u bytes each\n  leaves       %u\n  thresholds   %u\n",
           facts.splits, model->node_bytes, facts.leaves, facts.thresholds);
    printf("  categories   %u\n  rest         %u\n", facts.sets, facts.rest);
    printf("RAM            %zu bytes of arena\n", ige_arena_bytes(model));
    if (!isnan(device->bound)) printf("margins        off by at most %.3g\n", device->bound);
}

static void print_json(const struct ig_edge_device *device)
{
    struct ig_buf buf;
    struct ig_json_out out;
    ig_buf_init(&buf, 1 << 20);
    ig_json_out_init(&out, &buf);
    ig_json_out_object(&out);
    ig_edge_device_write(&out, device);
    ig_json_out_object_end(&out);
    printf("%.*s\n", IG_STR_ARGS(ig_buf_view(&buf)));
    ig_buf_deinit(&buf);
}

static int finish(struct ig_edge_device *device, const struct ig_cli *cli, const struct ig_err *err)
{
    bool good = err->code == IG_OK;
    if (good && strcmp(ig_cli_text(cli, "format"), "json") == 0)
        print_json(device);
    else if (good && ig_edge_device_is_network(device))
        ig_cmd_edge_print_network(device);
    else if (good)
        print_trees(device);
    ig_edge_device_deinit(device);
    if (!good) return ig_cli_fail(cli, err, NULL);
    return ig_cli_flush(cli, stdout) ? IG_EXIT_OK : IG_EXIT_FAILURE;
}

int ig_cmd_edge_inspect(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_edge_device device;
    open_device(&device, cli, &err);
    return finish(&device, cli, &err);
}

int ig_cmd_edge_convert(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_edge_device device;
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

static void print_row(const struct ig_block *block, const struct ig_edge_device *device,
                      bool classes)
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
                        const struct ig_edge_device *device, const double *margins)
{
    for (uint32_t o = 0; o < model->outputs_count; o++)
        difference->greatest = fmax(difference->greatest,
                                    fabs(ig_cmd_edge_value(&device->interpreter, o) - margins[o]));
    difference->rows++;
    uint32_t outputs = ige_output(&device->interpreter)->count; /* of a network, the first one's */
    difference->agreeing += class_of(model, margins, outputs) == ige_class(&device->interpreter);
}

/* What stands between a row and the device's inputs. */
struct feeding {
    const uint32_t *features; /* as in ig_edge_device */
    double *inputs;
    uint32_t count;
};

static enum ig_code make_room(struct feeding *feeding, const struct ig_edge_device *device,
                              uint32_t count, struct ig_arena *arena, struct ig_err *err)
{
    *feeding = (struct feeding){.features = device->features,
                                .inputs = ig_arena_array(arena, count, sizeof(double)),
                                .count = count};
    return arena->overflowed ? ig_fail(err, IG_NO_MEMORY, "no memory for %u inputs", count) : IG_OK;
}

/* A network from ONNX may have images in another order. */
static const double *feed(const struct feeding *feeding, const double *row)
{
    if (!feeding->features) return row;
    for (uint32_t i = 0; i < feeding->count; i++) feeding->inputs[i] = row[feeding->features[i]];
    return feeding->inputs;
}

static void inputs_of_block(struct ig_block *block, const struct feeding *feeding)
{
    for (size_t i = 0; i < block->rows_count; i++)
        print_inputs(block, feed(feeding, block->values + i * feeding->count), feeding->count);
}

/* `difference`: NULL prints. */
struct run {
    struct ig_block block;
    struct ig_edge_device device;
    struct feeding feeding;
    bool classes, inputs;
    struct difference *difference;
};

static void run_block(struct run *run)
{
    struct ig_block *block = &run->block;
    const struct ig_model *model = block->package->model;
    if (run->difference)
        ig_engine_margin(block->package->engine, block->values, block->rows_count, block->margins,
                         block->scratch);
    for (size_t i = 0; i < block->rows_count; i++) {
        const double *row = block->values + i * model->features_count;
        ig_cmd_edge_set_row(&run->device.interpreter, feed(&run->feeding, row));
        ige_invoke(&run->device.interpreter);
        if (run->difference)
            compare_row(run->difference, model, &run->device,
                        block->margins + i * model->outputs_count);
        else
            print_row(block, &run->device, run->classes);
    }
}

static enum ig_code open_run(struct run *run, const struct ig_cli *cli, struct ig_err *err)
{
    struct ig_edge_device *device = &run->device;
    if (ig_block_open(&run->block, cli, IG_ENGINE_MARGIN, err) != IG_OK) return err->code;
    const struct ig_model *model = run->block.package->model;
    if (read_compact(device, ig_cli_text(cli, "model")))
        start_compact(device, cli, err);
    else if (pack(device, cli, run->block.package, err) == IG_OK)
        ig_edge_device_start(device, err);
    if (err->code != IG_OK ||
        make_room(&run->feeding, device, model->features_count, &device->memory, err) != IG_OK)
        return err->code;
    if (run->difference && ig_cmd_edge_values(&device->interpreter) != model->outputs_count)
        return ig_fail(err, IG_UNSUPPORTED,
                       "--compare: the model gives %u numbers a row, the device %u",
                       model->outputs_count, ig_cmd_edge_values(&device->interpreter));
    return IG_OK;
}

int ig_cmd_edge_run(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct difference difference = {0};
    bool compare = ig_cli_flag(cli, "compare");
    struct run run = {.classes = ig_cli_flag(cli, "class"),
                      .inputs = ig_cli_flag(cli, "inputs"),
                      .difference = compare ? &difference : NULL};
    if (compare + run.classes + run.inputs > 1)
        return ig_cli_usage(cli, "--class, --compare and --inputs exclude each other");
    for (unsigned i = 0; run.inputs && i < IG_EDGE_OPTIONS_COUNT; i++)
        if (options_given(cli) & 1U << i)
            return ig_cli_usage(cli, "%s changes nothing that --inputs prints",
                                ig_edge_option_name((enum ig_edge_option)i, IG_EDGE_OF_CLI));
    ig_edge_device_init(&run.device);
    if (open_run(&run, cli, &err) == IG_OK)
        while (ig_block_next(&run.block, &err)) {
            if (run.inputs)
                inputs_of_block(&run.block, &run.feeding);
            else
                run_block(&run);
        }
    if (err.code == IG_OK && compare)
        fprintf(run.block.out, "rows %llu, greatest difference of a margin %.3g, same class %llu\n",
                (unsigned long long)difference.rows, difference.greatest,
                (unsigned long long)difference.agreeing);
    bool written = ig_block_close(&run.block, cli);
    ig_edge_device_deinit(&run.device);
    if (err.code != IG_OK) return ig_cli_fail(cli, &err, NULL);
    return written ? IG_EXIT_OK : IG_EXIT_FAILURE;
}
