/* SPDX-License-Identifier: Apache-2.0 */
/* Plans a graph: one pass in topological order infers shapes and folds what is constant, then
 * lifetimes give every other tensor its place in the scratch (first fit). Owns an arena with all
 * steps, states and folded constants. Invariant: a step reads only constants, inputs and values
 * that an earlier step wrote and nobody overwrote. Thread rule: immutable after `new`. */
#include "kernels/graph/program_rows.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ALIGNMENT = 64, CHUNK_BYTES = 64 * 1024, OPSET_MIN = 7, NODES_MAX = 20000 };
enum { DEFAULT_MAX_BYTES = 1 << 30 };
/* Of the plan for a block of rows: all of it, and its tensors, which are to stay near the core. */
enum { BLOCK_MAX_BYTES = 1 << 26, BLOCK_TENSORS_BYTES = 1 << 17 };
/* So many rows are faster as a block, filled up, than one by one. */
enum { BLOCK_FROM = 4 };

static const struct {
    const char *domain, *name;
    prog_plan_fn *plan;
} ops[] = {
#define IG_OP(domain, name, function, doc) {domain, name, function},
#include "kernels/graph/ops.def"
#undef IG_OP
};

static size_t align_up(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

bool prog_refuse(struct prog_plan *plan, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const struct ig_graph_node *node = plan->step->node;
    ig_fail(plan->err, IG_UNSUPPORTED, "node '%.*s' (%.*s): %s",
            (int)(node->name.len < 80 ? node->name.len : 80), node->name.ptr,
            (int)(node->op.len < 80 ? node->op.len : 80), node->op.ptr, text);
    return false;
}

bool prog_no_memory(struct prog_plan *plan)
{
    ig_fail(plan->err, IG_NO_MEMORY, "the graph's program exceeds its memory");
    return false;
}

struct prog_tensor *prog_in(const struct prog_plan *plan, uint32_t index)
{
    return index < plan->step->in_count ? plan->step->in[index] : NULL;
}

struct prog_tensor *prog_out(const struct prog_plan *plan, uint32_t index)
{
    return index < plan->step->out_count ? plan->step->out[index] : NULL;
}

struct prog_tensor *prog_need(struct prog_plan *plan, uint32_t index, enum ig_tensor_type type)
{
    struct prog_tensor *in = prog_in(plan, index);
    if (!in)
        prog_refuse(plan, "input %u is left out", index);
    else if (type != IG_TENSOR_NONE && in->type != type)
        prog_refuse(plan, "input %u is %s, expected %s", index, ig_tensor_type_name(in->type),
                    ig_tensor_type_name(type));
    else
        return in;
    return NULL;
}

bool prog_shape(struct prog_plan *plan, struct prog_tensor *out, enum ig_tensor_type type,
                const int64_t *dims, uint32_t rank)
{
    if (!out) return true;
    if (rank > IG_GRAPH_RANK_MAX || !ig_tensor_size(&out->count, dims, rank))
        return prog_refuse(plan, "its output is too large");
    for (uint32_t i = 0; i < rank; i++) out->dims[i] = dims[i];
    out->rank = rank;
    out->type = type;
    return true;
}

bool prog_shape_like(struct prog_plan *plan, struct prog_tensor *out, enum ig_tensor_type type,
                     const struct prog_tensor *like)
{
    return prog_shape(plan, out, type, like->dims, like->rank);
}

void *prog_state(struct prog_plan *plan, size_t size_bytes)
{
    void *state = ig_arena_zalloc(plan->arena, size_bytes);
    if (!state) prog_no_memory(plan);
    plan->step->state = state;
    return state;
}

bool prog_axis(struct prog_plan *plan, int64_t axis, uint32_t rank, uint32_t *out)
{
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= (int64_t)rank)
        return prog_refuse(plan, "axis %lld of a rank %u tensor", (long long)axis, rank);
    *out = (uint32_t)axis;
    return true;
}

bool prog_integers(struct prog_plan *plan, uint32_t index, const char *name, const int64_t **list,
                   size_t *count)
{
    const struct prog_tensor *in = prog_in(plan, index);
    if (!in) {
        *list = name ? ig_graph_i64s(plan->step->node, name, count) : NULL;
        if (!name) *count = 0;
        return true;
    }
    if (in->type != IG_TENSOR_I64 || !in->constant)
        return prog_refuse(plan, "input %u is no constant int64 tensor", index);
    *list = in->constant;
    *count = in->count;
    return true;
}

bool prog_matrix(struct prog_plan *plan, const struct prog_tensor *in, int64_t *rows,
                 int64_t *columns)
{
    if (in->rank != 1 && in->rank != 2)
        return prog_refuse(plan, "an input of rank %u, expected 1 or 2", in->rank);
    *rows = in->rank == 2 ? in->dims[0] : 1;
    *columns = in->dims[in->rank - 1];
    return true;
}

bool prog_is(const struct prog_plan *plan, const char *op)
{
    return ig_str_is(plan->step->node->op, op);
}

bool prog_numeric(enum ig_tensor_type type)
{
    return type != IG_TENSOR_STRING && type != IG_TENSOR_NONE;
}

void prog_floats(float *out, const void *data, enum ig_tensor_type type, size_t count)
{
    if (type == IG_TENSOR_F32) {
        if (count) memcpy(out, data, count * sizeof *out);
        return;
    }
    for (size_t i = 0; i < count; i++) out[i] = (float)ig_tensor_get(data, type, i);
}

static prog_plan_fn *find_op(const struct ig_graph_node *node)
{
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (ig_str_is(node->op, ops[i].name) && ig_str_is(node->domain, ops[i].domain))
            return ops[i].plan;
    return NULL;
}

static bool bind_step(struct prog_plan *plan, struct ig_program *program,
                      const struct ig_graph_node *node)
{
    struct prog_step *step = plan->step;
    step->node = node;
    step->in_count = node->inputs_count;
    step->out_count = node->outputs_count;
    step->in = ig_arena_array(plan->arena, step->in_count + (size_t)1, sizeof(void *));
    step->out = ig_arena_array(plan->arena, step->out_count + (size_t)1, sizeof(void *));
    if (!step->in || !step->out) return prog_no_memory(plan);
    for (uint32_t i = 0; i < step->in_count; i++)
        if (node->inputs[i] != IG_GRAPH_NONE) step->in[i] = &program->tensors[node->inputs[i]];
    for (uint32_t i = 0; i < step->out_count; i++)
        if (node->outputs[i] != IG_GRAPH_NONE) step->out[i] = &program->tensors[node->outputs[i]];
    return true;
}

/* Runs a step whose inputs are all constant; its outputs become constants. */
static bool fold(struct prog_plan *plan, struct ig_program *program)
{
    struct prog_step *step = plan->step;
    void **values = ig_zalloc_array(program->graph->values_count + (size_t)1, sizeof(void *));
    void *scratch = ig_alloc_aligned(ALIGNMENT, align_up(step->scratch_bytes + 1));
    bool good = values && scratch;
    for (uint32_t i = 0; good && i < step->in_count; i++)
        if (step->in[i])
            memcpy(&values[step->in[i]->index], &step->in[i]->constant, sizeof(void *));
    for (uint32_t i = 0; good && i < step->out_count; i++) {
        struct prog_tensor *out = step->out[i];
        if (!out || out->type == IG_TENSOR_NONE) continue;
        void *data = ig_arena_array(plan->arena, out->count + 1, ig_tensor_type_bytes(out->type));
        good = data != NULL;
        out->constant = data;
        values[out->index] = data;
    }
    if (good && step->run) step->run(step, &(struct prog_frame){values, scratch});
    ig_free(values);
    ig_free(scratch);
    return good || prog_no_memory(plan);
}

static bool foldable(const struct prog_step *step)
{
    for (uint32_t i = 0; i < step->in_count; i++)
        if (step->in[i] && !step->in[i]->constant) return false;
    return true;
}

static bool refuse_operator(struct prog_plan *plan, const struct ig_graph_node *node)
{
    if (!node->domain.len) return prog_refuse(plan, "this operator is not among Ingot's own");
    return prog_refuse(plan, "this operator of domain '%.*s' is not among Ingot's own",
                       (int)(node->domain.len < 80 ? node->domain.len : 80), node->domain.ptr);
}

static bool plan_step(struct prog_plan *plan, struct ig_program *program,
                      const struct ig_graph_node *node)
{
    prog_plan_fn *function = find_op(node);
    if (!bind_step(plan, program, node)) return false;
    plan->opset = ig_graph_opset(plan->graph, node->domain);
    if (!function) return refuse_operator(plan, node);
    if (node->domain.len == 0 && plan->opset < OPSET_MIN)
        return prog_refuse(plan, "opset %lld, at least %d", (long long)plan->opset, OPSET_MIN);
    if (!prog_out(plan, 0)) return prog_refuse(plan, "its first output is left out");
    for (uint32_t i = 0; i < plan->step->in_count; i++)
        if (plan->step->in[i] && plan->step->in[i]->type == IG_TENSOR_NONE)
            return prog_refuse(plan, "input %u comes from an output that its node leaves out", i);
    if (!function(plan)) return false;
    if (plan->step->known || foldable(plan->step)) return fold(plan, program);
    if (plan->step->scratch_bytes > program->step_bytes)
        program->step_bytes = plan->step->scratch_bytes;
    program->steps_count++;
    return true;
}

/* A block of rows takes a first dimension of 1 for an open one. */
static bool is_open(const struct ig_program_options *options, const struct ig_graph_value *value,
                    uint32_t axis)
{
    return axis == 0 && (value->dims[0] < 0 || (options->blocks && value->dims[0] == 1));
}

static bool plan_input(struct prog_plan *plan, struct ig_program *program, uint32_t index,
                       const struct ig_program_options *options)
{
    const struct ig_graph_value *value = &plan->graph->values[index];
    struct prog_tensor *tensor = &program->tensors[index];
    *tensor = (struct prog_tensor){.type = value->type, .rank = value->rank, .index = index};
    bool good = value->declared && ig_tensor_type_bytes(value->type) > 0;
    for (uint32_t i = 0; good && i < value->rank; i++) {
        tensor->dims[i] = is_open(options, value, i) ? options->batch : value->dims[i];
        good = tensor->dims[i] >= 0;
    }
    if (good && ig_tensor_size(&tensor->count, tensor->dims, tensor->rank)) return true;
    ig_fail(plan->err, IG_UNSUPPORTED,
            "input '%.*s': its type or a dimension besides the first is not declared",
            IG_STR_ARGS(value->name));
    return false;
}

static bool plan_values(struct prog_plan *plan, struct ig_program *program,
                        const struct ig_program_options *options)
{
    const struct ig_graph *graph = plan->graph;
    for (uint32_t i = 0; i < graph->values_count; i++) {
        struct prog_tensor *tensor = &program->tensors[i];
        const struct ig_tensor *initialiser = graph->values[i].initialiser;
        tensor->index = i;
        if (!initialiser) continue;
        *tensor = (struct prog_tensor){.type = initialiser->type,
                                       .rank = initialiser->rank,
                                       .count = initialiser->count,
                                       .index = i,
                                       .constant = initialiser->data};
        memcpy(tensor->dims, initialiser->dims, sizeof tensor->dims);
    }
    for (uint32_t i = 0; i < graph->inputs_count; i++)
        if (!plan_input(plan, program, graph->inputs[i], options)) return false;
    return true;
}

/* Life of a value: the step that writes it and the last that reads it. */
struct life {
    uint32_t value, first, last;
    size_t offset, bytes;
};

static int before(const struct life *a, size_t offset, size_t bytes)
{
    return a->offset < offset + bytes && offset < a->offset + a->bytes;
}

/* The lowest offset at which a block overlaps no living one. */
static size_t first_fit(const struct life *lives, size_t count, const struct life *block)
{
    size_t offset = 0;
    for (size_t i = 0; i < count;) {
        const struct life *other = &lives[i++];
        bool together = other->first <= block->last && block->first <= other->last;
        if (!together || !before(other, offset, block->bytes)) continue;
        offset = other->offset + other->bytes;
        i = 0;
    }
    return offset;
}

static void find_lives(const struct ig_program *program, struct life *lives, size_t *count,
                       uint32_t *place)
{
    for (uint32_t s = 0; s < program->steps_count; s++) {
        const struct prog_step *step = &program->steps[s];
        for (uint32_t i = 0; i < step->in_count; i++)
            if (step->in[i] && place[step->in[i]->index])
                lives[place[step->in[i]->index] - 1].last = s;
        for (uint32_t i = 0; i < step->out_count; i++) {
            const struct prog_tensor *out = step->out[i];
            if (!out || out->type == IG_TENSOR_NONE) continue;
            size_t bytes = align_up(out->count * ig_tensor_type_bytes(out->type) + 1);
            lives[*count] = (struct life){out->index, s, s, 0, bytes};
            place[out->index] = (uint32_t)++ * count;
        }
    }
    for (uint32_t i = 0; i < program->graph->outputs_count; i++)
        if (place[program->graph->outputs[i]])
            lives[place[program->graph->outputs[i]] - 1].last = program->steps_count;
}

static bool place_tensors(struct prog_plan *plan, struct ig_program *program, size_t max_bytes)
{
    size_t values = program->graph->values_count + (size_t)1;
    struct life *lives = ig_zalloc_array(values, sizeof *lives);
    uint32_t *place = ig_zalloc_array(values, sizeof *place);
    size_t count = 0;
    if (lives && place) {
        find_lives(program, lives, &count, place);
        for (size_t i = 0; i < count; i++) {
            lives[i].offset = first_fit(lives, i, &lives[i]);
            program->tensors[lives[i].value].offset = lives[i].offset;
            size_t end = lives[i].offset + lives[i].bytes;
            if (end > program->tensors_bytes) program->tensors_bytes = end;
        }
    }
    bool good = lives && place && program->tensors_bytes + program->step_bytes <= max_bytes;
    ig_free(lives);
    ig_free(place);
    return good || prog_no_memory(plan);
}

static bool fill_port(struct prog_plan *plan, const struct ig_program *program, uint32_t value,
                      struct ig_program_port *port)
{
    const struct prog_tensor *tensor = &program->tensors[value];
    *port = (struct ig_program_port){.name = plan->graph->values[value].name,
                                     .type = tensor->type,
                                     .rank = tensor->rank,
                                     .count = tensor->count};
    memcpy(port->dims, tensor->dims, sizeof port->dims);
    if (tensor->type != IG_TENSOR_NONE) return true;
    ig_fail(plan->err, IG_UNSUPPORTED, "output '%.*s': its node does not give it",
            IG_STR_ARGS(port->name));
    return false;
}

static bool fill_ports(struct prog_plan *plan, struct ig_program *program)
{
    const struct ig_graph *graph = plan->graph;
    program->inputs =
        ig_arena_array(plan->arena, graph->inputs_count + (size_t)1, sizeof *program->inputs);
    program->outputs =
        ig_arena_array(plan->arena, graph->outputs_count + (size_t)1, sizeof *program->outputs);
    if (!program->inputs || !program->outputs) return prog_no_memory(plan);
    for (uint32_t i = 0; i < graph->inputs_count; i++)
        if (!fill_port(plan, program, graph->inputs[i], &program->inputs[i])) return false;
    program->values_port = IG_GRAPH_NONE;
    bool floating = false;
    for (uint32_t i = 0; i < graph->outputs_count; i++) {
        if (!fill_port(plan, program, graph->outputs[i], &program->outputs[i])) return false;
        enum ig_tensor_type type = program->outputs[i].type;
        bool is_float = type == IG_TENSOR_F32 || type == IG_TENSOR_F64;
        if (!prog_numeric(type) || (floating && !is_float)) continue;
        program->values_port = i;
        floating = is_float;
    }
    return true;
}

static bool plan_all(struct prog_plan *plan, struct ig_program *program,
                     const struct ig_program_options *options, size_t max_bytes)
{
    const struct ig_graph *graph = plan->graph;
    program->tensors =
        ig_arena_array(plan->arena, graph->values_count + (size_t)1, sizeof *program->tensors);
    program->steps =
        ig_arena_array(plan->arena, graph->nodes_count + (size_t)1, sizeof *program->steps);
    if (!program->tensors || !program->steps) return prog_no_memory(plan);
    if (!plan_values(plan, program, options)) return false;
    for (uint32_t i = 0; i < graph->nodes_count; i++) {
        plan->step = &program->steps[program->steps_count];
        *plan->step = (struct prog_step){0};
        if (!plan_step(plan, program, &graph->nodes[i])) return false;
    }
    return place_tensors(plan, program, max_bytes) && fill_ports(plan, program);
}

static enum ig_code plan_program(struct ig_program **out, const struct ig_graph *graph,
                                 const struct ig_program_options *options, struct ig_err *err)
{
    size_t max_bytes = options->max_bytes ? options->max_bytes : DEFAULT_MAX_BYTES;
    if (options->batch < 1 || options->batch > INT32_MAX)
        return ig_fail(err, IG_INVALID, "batch %lld is not in 1..%d", (long long)options->batch,
                       INT32_MAX);
    if (graph->nodes_count > NODES_MAX)
        return ig_fail(err, IG_TOO_LARGE, "%u nodes, at most %d", graph->nodes_count, NODES_MAX);
    struct ig_program *program = ig_zalloc(sizeof *program);
    if (!program) return ig_fail(err, IG_NO_MEMORY, "out of memory");
    ig_arena_init(&program->arena, CHUNK_BYTES, max_bytes);
    program->graph = graph;
    struct prog_plan plan = {.graph = graph, .arena = &program->arena, .err = err};
    if (!plan_all(&plan, program, options, max_bytes)) {
        ig_program_free(program);
        return ig_err_code(err);
    }
    *out = program;
    return IG_OK;
}

/* A graph that has no such plan, or gains nothing by it, has its rows run one by one. */
static struct ig_program *plan_block(const struct ig_program *one)
{
    const struct ig_program_options options = {
        .batch = PROG_BLOCK, .max_bytes = BLOCK_MAX_BYTES, .blocks = true};
    struct ig_err refused = IG_ERR_INIT;
    struct ig_program *block;
    if (!prog_rows_may_be_apart(one)) return NULL;
    if (plan_program(&block, one->graph, &options, &refused) != IG_OK) return NULL;
    if (block->tensors_bytes <= BLOCK_TENSORS_BYTES && prog_rows_apart(one, block)) return block;
    ig_program_free(block);
    return NULL;
}

enum ig_code ig_program_new(struct ig_program **out, const struct ig_graph *graph,
                            const struct ig_program_options *options, struct ig_err *err)
{
    struct ig_program *program;
    if (plan_program(&program, graph, options, err) != IG_OK) return err->code;
    if (options->blocks && options->batch == 1) program->block = plan_block(program);
    *out = program;
    return IG_OK;
}

void ig_program_free(struct ig_program *program)
{
    if (!program) return;
    ig_program_free(program->block);
    ig_arena_deinit(&program->arena);
    ig_free(program);
}

uint32_t ig_program_inputs_count(const struct ig_program *program)
{
    return program->graph->inputs_count;
}

uint32_t ig_program_outputs_count(const struct ig_program *program)
{
    return program->graph->outputs_count;
}

const struct ig_program_port *ig_program_input(const struct ig_program *program, uint32_t index)
{
    return index < program->graph->inputs_count ? &program->inputs[index] : NULL;
}

const struct ig_program_port *ig_program_output(const struct ig_program *program, uint32_t index)
{
    return index < program->graph->outputs_count ? &program->outputs[index] : NULL;
}

static size_t table_bytes(const struct ig_program *program)
{
    return align_up((program->graph->values_count + (size_t)1) * sizeof(void *));
}

size_t ig_program_scratch_bytes(const struct ig_program *program)
{
    return table_bytes(program) + program->tensors_bytes + align_up(program->step_bytes + 1);
}

/* The elements stay read-only: no step writes to its inputs. */
static void *unconst(const void *data)
{
    void *plain;
    memcpy(&plain, &data, sizeof plain);
    return plain;
}

void ig_program_run(const struct ig_program *program, const void *const *inputs,
                    void *const *outputs, void *scratch)
{
    const struct ig_graph *graph = program->graph;
    char *tensors = (char *)scratch + table_bytes(program);
    struct prog_frame frame = {scratch, tensors + program->tensors_bytes};
    for (uint32_t i = 0; i < graph->values_count; i++) {
        const struct prog_tensor *tensor = &program->tensors[i];
        frame.values[i] = tensor->constant ? unconst(tensor->constant) : tensors + tensor->offset;
    }
    for (uint32_t i = 0; i < graph->inputs_count; i++)
        frame.values[graph->inputs[i]] = unconst(inputs[i]);
    for (uint32_t i = 0; i < program->steps_count; i++)
        program->steps[i].run(&program->steps[i], &frame);
    for (uint32_t i = 0; i < graph->outputs_count; i++) {
        const struct ig_program_port *port = &program->outputs[i];
        size_t bytes = port->count * ig_tensor_type_bytes(port->type);
        if (outputs[i] && bytes) memcpy(outputs[i], frame.values[graph->outputs[i]], bytes);
    }
}

struct prog_rows {
    const double *in;
    size_t count, features_count;
    double *out;
};

/* Scratch of the predictor: the two tables of ends, every input, the outputs' values, then the
 * program's own. */
static size_t ends_bytes(const struct ig_program *program)
{
    const struct ig_graph *graph = program->graph;
    size_t bytes = align_up((graph->inputs_count + (size_t)1) * sizeof(void *)) +
                   align_up((graph->outputs_count + (size_t)1) * sizeof(void *));
    for (uint32_t i = 0; i < graph->inputs_count; i++)
        bytes += align_up(program->inputs[i].count * sizeof(double) + 1);
    return bytes + align_up(program->outputs[program->values_port].count * sizeof(double) + 1);
}

static size_t predictor_scratch(const struct ig_predictor *predictor, size_t rows_count)
{
    const struct ig_program *program = predictor->context;
    size_t bytes = ends_bytes(program) + ig_program_scratch_bytes(program);
    if (!program->block || rows_count < BLOCK_FROM) return bytes;
    size_t block = ends_bytes(program->block) + ig_program_scratch_bytes(program->block);
    return bytes > block ? bytes : block;
}

/* A row's elements of an input. */
static void put_row(const struct ig_program_port *port, void *to, size_t first, const double *row,
                    size_t count)
{
    if (port->type == IG_TENSOR_F32)
        for (size_t i = 0; i < count; i++) ((float *)to)[first + i] = (float)row[i];
    else
        for (size_t i = 0; i < count; i++) ig_tensor_put(to, port->type, first + i, row[i]);
}

/* One run of a program that takes `at_once` rows; the last row stands for those that are not
 * there. */
static void run_rows(const struct ig_program *program, size_t at_once, const struct prog_rows *rows,
                     void *scratch)
{
    const struct ig_graph *graph = program->graph;
    const void **inputs = scratch;
    char *at = (char *)scratch + align_up((graph->inputs_count + (size_t)1) * sizeof(void *));
    void **outputs = (void **)(void *)at;
    at += align_up((graph->outputs_count + (size_t)1) * sizeof(void *));
    const struct ig_program_port *port = &program->outputs[program->values_port];
    memset(outputs, 0, graph->outputs_count * sizeof *outputs);
    outputs[program->values_port] = at;
    at += align_up(port->count * sizeof(double) + 1);
    size_t feature = 0;
    for (uint32_t i = 0; i < graph->inputs_count; i++) {
        const struct ig_program_port *end = &program->inputs[i];
        size_t count = end->count / at_once;
        for (size_t r = 0; r < at_once; r++) {
            size_t from = r < rows->count ? r : rows->count - 1;
            put_row(end, at, r * count, rows->in + from * rows->features_count + feature, count);
        }
        feature += count;
        inputs[i] = at;
        at += align_up(end->count * sizeof(double) + 1);
    }
    ig_program_run(program, inputs, outputs, at);
    size_t count = port->count / at_once * rows->count;
    for (size_t k = 0; k < count; k++)
        rows->out[k] = ig_tensor_get(outputs[program->values_port], port->type, k);
}

static void predictor_run(const struct ig_predictor *predictor, const double *rows,
                          size_t rows_count, double *values, void *scratch)
{
    const struct ig_program *program = predictor->context;
    struct prog_rows part = {rows, 0, predictor->features_count, values};
    while (rows_count > 0) {
        bool block = program->block && rows_count >= BLOCK_FROM;
        part.count = !block ? 1 : rows_count < PROG_BLOCK ? rows_count : PROG_BLOCK;
        if (block)
            run_rows(program->block, PROG_BLOCK, &part, scratch);
        else
            run_rows(program, 1, &part, scratch);
        part.in += part.count * part.features_count;
        part.out += part.count * predictor->values_count;
        rows_count -= part.count;
    }
}

enum ig_code ig_program_predictor(struct ig_predictor *out, const struct ig_program *program,
                                  struct ig_err *err)
{
    size_t features = 0;
    for (uint32_t i = 0; i < program->graph->inputs_count; i++) {
        const struct ig_program_port *port = &program->inputs[i];
        if (!prog_numeric(port->type))
            return ig_fail(err, IG_UNSUPPORTED, "input '%.*s' is text, expected numbers",
                           IG_STR_ARGS(port->name));
        if (!ig_add(&features, features, port->count) || features > INT32_MAX)
            return ig_fail(err, IG_TOO_LARGE, "more than %d features", INT32_MAX);
    }
    if (program->values_port == IG_GRAPH_NONE)
        return ig_fail(err, IG_UNSUPPORTED, "no output of the graph is numeric");
    if (features == 0 || program->outputs[program->values_port].count == 0)
        return ig_fail(err, IG_UNSUPPORTED, "the graph takes or gives no numbers");
    *out = (struct ig_predictor){(uint32_t)features,
                                 (uint32_t)program->outputs[program->values_port].count, program,
                                 predictor_run, predictor_scratch};
    return IG_OK;
}
