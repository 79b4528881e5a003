/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of small models: the text of layers, and options of training. Thread rule: pure. */
#include "services/job/edge_plan.h"

#include <string.h>

enum { SIDE_MAX = 1024, CHANNELS_MAX = 4096, OUTER_MAX = 3 };
enum { BATCH_SMALL = 32, BATCH_LARGE = 128, ROWS_LARGE = 20000, STEPS_MANY = 2000 };
enum { INT8_SHARE = 8 }; /* the last eighth of the epochs */

static bool is(const struct ig_param_word *word, const char *text)
{
    return strcmp(word->text, text) == 0;
}

bool ig_edge_plan_on(const struct ig_param_word *word)
{
    return is(word, "on");
}

/* ---- layers ---- */

static enum ig_code refuse(struct ig_str item, const char *expected, struct ig_err *err)
{
    return ig_fail(err, IG_INVALID, "parameter 'layers': '%.*s': expected %s",
                   item.len > 40 ? 40 : (int)item.len, item.len ? item.ptr : "", expected);
}

static bool number(uint32_t *out, struct ig_str text, uint32_t most)
{
    uint64_t value;
    if (!ig_str_to_u64(text, &value) || value == 0 || value > most) return false;
    *out = (uint32_t)value;
    return true;
}

static bool has_activation(enum ig_layer_kind kind)
{
    return kind == IG_LAYER_DENSE || kind == IG_LAYER_CONV || kind == IG_LAYER_DEPTHWISE;
}

/* "8x3/2" behind "conv:", "3/2" behind "depthwise:", "2" behind "max_pool:". */
static enum ig_code read_window(struct ig_layer *layer, struct ig_str item, struct ig_str rest,
                                struct ig_err *err)
{
    struct ig_str window = ig_str_cut(&rest, '/');
    if (layer->kind == IG_LAYER_CONV) {
        struct ig_str units = ig_str_cut(&window, 'x');
        if (!number(&layer->units, units, CHANNELS_MAX))
            return refuse(item, "conv:FILTERSxSIZE, filters from 1 to 4096", err);
    }
    if (!number(&layer->filter, window, SIDE_MAX))
        return refuse(item, "the size of a window, 1 to 1024", err);
    if (rest.len && (!has_activation(layer->kind) || !number(&layer->stride, rest, SIDE_MAX)))
        return refuse(item, "a stride of 1 to 1024 behind a convolution's size", err);
    return IG_OK;
}

static enum ig_code read_item(struct ig_layer *layer, struct ig_str item, struct ig_err *err)
{
    static const struct {
        const char *name;
        enum ig_layer_kind kind;
    } kinds[] = {{"conv", IG_LAYER_CONV},
                 {"depthwise", IG_LAYER_DEPTHWISE},
                 {"max_pool", IG_LAYER_MAX_POOL},
                 {"average_pool", IG_LAYER_AVERAGE_POOL}};
    struct ig_str rest = item, name = ig_str_cut(&rest, ':');
    *layer = (struct ig_layer){.kind = IG_LAYER_DENSE};
    if (number(&layer->units, item, IG_LAYERS_UNITS_MAX)) return IG_OK;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!ig_str_is(name, kinds[i].name)) continue;
        layer->kind = kinds[i].kind;
        if (layer->kind == IG_LAYER_DEPTHWISE) layer->units = 1;
        if (layer->kind == IG_LAYER_AVERAGE_POOL && !rest.ptr) return IG_OK; /* of all */
        return read_window(layer, item, rest, err);
    }
    return refuse(item, "UNITS from 1 to 65536, conv:, depthwise:, max_pool: or average_pool", err);
}

static enum ig_code add_item(struct ig_edge_network *network, const struct ig_edge_params *params,
                             struct ig_str item, struct ig_err *err)
{
    struct ig_layer layer;
    bool tanh = is(&params->activation, "tanh");
    if (read_item(&layer, item, err) != IG_OK) return err->code;
    if (layer.kind != IG_LAYER_DENSE && !network->height)
        return refuse(item, "input_shape beside windows", err);
    if (network->count + 2 > IG_LAYERS_MAX - OUTER_MAX) return refuse(item, "fewer layers", err);
    if (has_activation(layer.kind)) {
        layer.batch_norm = ig_edge_plan_on(&params->batch_norm);
        if (is(&params->activation, "relu")) layer.activation = IG_NETWORK_ACTIVATION_RELU;
        if (is(&params->activation, "relu6")) layer.activation = IG_NETWORK_ACTIVATION_RELU6;
    }
    network->items[network->count++] = layer;
    if (tanh && has_activation(layer.kind))
        network->items[network->count++] = (struct ig_layer){.kind = IG_LAYER_TANH};
    return IG_OK;
}

static enum ig_code read_shape(struct ig_edge_network *network, const struct ig_edge_params *params,
                               struct ig_err *err)
{
    struct ig_str rest = ig_str_view(params->input_shape.text);
    if (!rest.len) return IG_OK;
    struct ig_str height = ig_str_cut(&rest, 'x'), width = ig_str_cut(&rest, 'x');
    if (!number(&network->height, height, SIDE_MAX) || !number(&network->width, width, SIDE_MAX) ||
        !number(&network->channels, rest, CHANNELS_MAX))
        return ig_fail(err, IG_INVALID,
                       "parameter 'input_shape': '%.40s': expected HEIGHTxWIDTHxCHANNELS",
                       params->input_shape.text);
    return IG_OK;
}

enum ig_code ig_edge_plan_network(struct ig_edge_network *out, const struct ig_edge_params *params,
                                  enum ig_fit_loss loss, uint32_t outputs, struct ig_err *err)
{
    struct ig_edge_network *network = out;
    struct ig_str rest = ig_str_view(params->layers.text);
    network->count = network->height = network->width = network->channels = 0;
    if (read_shape(network, params, err) != IG_OK) return err->code;
    while (rest.len)
        if (add_item(network, params, ig_str_trim(ig_str_cut(&rest, ',')), err) != IG_OK)
            return err->code;
    network->items[network->count++] = (struct ig_layer){.kind = IG_LAYER_DENSE, .units = outputs};
    if (loss != IG_FIT_SQUARED)
        network->items[network->count++] = (struct ig_layer){
            .kind = loss == IG_FIT_SOFTMAX ? IG_LAYER_SOFTMAX : IG_LAYER_LOGISTIC};
    return IG_OK;
}

/* ---- training ---- */

static uint32_t batch_of(const struct ig_edge_params *params, size_t rows_count)
{
    if (params->batch_size) return (uint32_t)params->batch_size;
    return rows_count >= ROWS_LARGE ? BATCH_LARGE : BATCH_SMALL;
}

/* Where the parameters leave it open: the masks are final in the middle of training. */
static void plan_pruning(struct ig_pruning_schedule *schedule, const struct ig_edge_params *params,
                         int64_t steps)
{
    bool constant = is(&params->pruning, "constant");
    int64_t few = steps / 20 + 1;
    *schedule = (struct ig_pruning_schedule){
        .kind = constant ? IG_PRUNING_CONSTANT : IG_PRUNING_POLYNOMIAL,
        .initial = params->initial_sparsity,
        .final = params->final_sparsity,
        .begin = params->begin_step,
        .end = params->end_step,
        .frequency = params->frequency    ? params->frequency
                     : steps > STEPS_MANY ? 100
                                          : few,
        .power = params->power,
    };
    if (constant || schedule->end >= 0) return;
    int64_t room = steps / 2 - schedule->begin;
    if (room < 0) room = 0;
    schedule->end = schedule->begin + room / schedule->frequency * schedule->frequency;
    if (schedule->end == schedule->begin) schedule->end += schedule->frequency;
}

static struct ig_pruning_pattern pattern_of(const struct ig_edge_params *params)
{
    struct ig_pruning_pattern pattern = {.kind = IG_PRUNING_ELEMENTS};
    if (is(&params->sparsity_pattern, "block")) {
        pattern.kind = IG_PRUNING_BLOCKS;
        pattern.block_inputs = (uint32_t)params->block_inputs;
        pattern.block_outputs = (uint32_t)params->block_outputs;
        pattern.block_max = is(&params->block_pooling, "max");
    }
    if (is(&params->sparsity_pattern, "2:4")) {
        pattern.kind = IG_PRUNING_M_BY_N;
        pattern.zeros = 2;
        pattern.group = 4;
    }
    return pattern;
}

void ig_edge_plan_fit(struct ig_fit_options *out, struct ig_pruning_schedule *schedule,
                      const struct ig_edge_params *params, enum ig_fit_loss loss, size_t rows_count)
{
    bool taught = params->teacher.text[0] != 0;
    uint32_t epochs = (uint32_t)params->epochs, batch = batch_of(params, rows_count);
    *out = (struct ig_fit_options){
        .loss = loss,
        .optimizer = {.kind = is(&params->optimizer, "sgd") ? IG_OPTIMIZER_SGD : IG_OPTIMIZER_ADAM,
                      .learning_rate = params->learning_rate,
                      .momentum = params->momentum,
                      .weight_decay = params->weight_decay},
        .epochs = epochs,
        .batch = batch,
        .patience = (uint32_t)params->early_stopping,
        .cosine = is(&params->learning_rate_schedule, "cosine"),
        .seed = (uint64_t)params->seed,
        .alpha = taught ? params->alpha : 1,
        .temperature = taught && loss != IG_FIT_SQUARED ? params->temperature : 1,
    };
    if (!is(&params->pruning, "none")) {
        plan_pruning(schedule, params, (int64_t)((rows_count + batch - 1) / batch) * epochs);
        out->pruning = schedule;
        out->pattern = pattern_of(params);
    }
    if (ig_edge_plan_on(&params->quantization_aware)) {
        out->int8_from = epochs - (epochs + INT8_SHARE - 1) / INT8_SHARE;
        out->int8 = (struct ig_backprop_int8){.per_tensor_dense = true};
    }
}

/* ---- checks ---- */

static enum ig_code check_untrained(const struct ig_edge_params *params, struct ig_err *err)
{
    if (!params->source.text[0])
        return ig_fail(err, IG_INVALID, "parameter 'epochs': 0 needs a source that is trained");
    if (params->teacher.text[0])
        return ig_fail(err, IG_INVALID, "parameter 'teacher': nothing is learned in 0 epochs");
    if (!is(&params->pruning, "none") || params->pruned_neurons > 0)
        return ig_fail(err, IG_INVALID, "parameter '%s': needs epochs to train in",
                       is(&params->pruning, "none") ? "pruned_neurons" : "pruning");
    return IG_OK;
}

/* Which students a parameter is of. */
static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

static bool is_of(const char *name, bool trees)
{
    static const char *const ANY[] = {
        "student", "early_stopping", "validation_fraction", "seed",      "objective",
        "teacher", "alpha",          "synthetic_rows",      "resampled", "hard_label_student"};
    static const char *const TREES[] = {"rounds", "max_depth", "tree_learning_rate",
                                        "pruned_leaves"};
    return is_one_of(name, ANY, sizeof ANY / sizeof ANY[0]) ||
           is_one_of(name, TREES, sizeof TREES / sizeof TREES[0]) == trees;
}

static enum ig_code check_student(const struct ig_edge_params *params, struct ig_err *err)
{
    struct ig_job_params given, standard;
    bool trees = ig_edge_plan_trees(params);
    ig_params_defaults(&standard, IG_JOB_EDGE);
    given = standard;
    given.edge = *params;
    for (size_t i = 0; i < ig_params_count(IG_JOB_EDGE); i++) {
        const char *name = ig_param_at(IG_JOB_EDGE, i)->name;
        if (!is_of(name, trees) && !ig_param_equal(&given, &standard, IG_JOB_EDGE, i))
            return ig_fail(err, IG_INVALID, "parameter '%s': student '%s' has none", name,
                           params->student.text);
    }
    if (trees && !params->teacher.text[0])
        return ig_fail(err, IG_INVALID,
                       "parameter 'student': trees need a teacher; the engine xgboost grows them "
                       "by labels");
    return IG_OK;
}

bool ig_edge_plan_trees(const struct ig_edge_params *params)
{
    return is(&params->student, "trees");
}

/* What a source brings along, and so cannot be asked for. */
static enum ig_code check_source(const struct ig_edge_params *params, struct ig_err *err)
{
    struct ig_job_params standard;
    if (!params->source.text[0]) return IG_OK;
    ig_params_defaults(&standard, IG_JOB_EDGE);
    const struct {
        const char *name, *text, *standard;
    } owned[] = {
        {"layers", params->layers.text, standard.edge.layers.text},
        {"input_shape", params->input_shape.text, standard.edge.input_shape.text},
        {"activation", params->activation.text, standard.edge.activation.text},
        {"batch_norm", params->batch_norm.text, standard.edge.batch_norm.text},
        {"ranks", params->ranks.text, standard.edge.ranks.text},
    };
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++)
        if (strcmp(owned[i].text, owned[i].standard) != 0)
            return ig_fail(err, IG_INVALID, "parameter '%s': '%.40s': the source has its own",
                           owned[i].name, owned[i].text);
    return IG_OK;
}

static enum ig_code check_quantization(const struct ig_edge_params *params, struct ig_err *err)
{
    static const char *const OF_INT8[] = {"calibrator", "rounding", NULL};
    const struct ig_job_params given = {.engine = IG_JOB_EDGE, .edge = *params};
    const char *name = ig_params_changed(&given, OF_INT8);
    if (!name || is(&params->quantization, "int8")) return IG_OK;
    return ig_fail(err, IG_INVALID, "parameter '%s': it is for int8, quantization is '%s'", name,
                   params->quantization.text);
}

enum ig_code ig_edge_plan_check(const struct ig_edge_params *params, struct ig_err *err)
{
    struct ig_edge_network network;
    struct ig_pruning_schedule schedule = {0};
    struct ig_fit_options options;
    if (check_student(params, err) != IG_OK || ig_edge_plan_trees(params)) return err->code;
    if (ig_edge_plan_network(&network, params, IG_FIT_SQUARED, 1, err) != IG_OK) return err->code;
    if (params->epochs == 0 && check_untrained(params, err) != IG_OK) return err->code;
    if (ig_edge_plan_on(&params->quantization_aware) && params->epochs < 2)
        return ig_fail(err, IG_INVALID, "parameter 'quantization_aware': needs 2 epochs or more");
    if (check_source(params, err) != IG_OK || check_quantization(params, err) != IG_OK)
        return err->code;
    ig_edge_plan_fit(&options, &schedule, params, IG_FIT_SQUARED, 1000);
    if (options.pruning && ig_pruning_check(&schedule, &options.pattern, err) != IG_OK)
        ig_err_prefix(err, "pruning");
    return err->code;
}
