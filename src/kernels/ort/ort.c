/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of ONNX Runtime as foreign models. A session owns its handle and an arena with the
 * names and shapes of its ends; the last failure's text lies under a mutex, all else is immutable.
 * Thread rule: one thread makes a session, any number run it (ort_run.c). */
#include "kernels/ort/ort.h"
#include "kernels/ort/ort_priv.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

enum { ENDS_MAX = 4096, SEVERITY_FATAL = 4, TENSOR_RANK_MAX = 64 };
enum { ARENA_CHUNK_BYTES = 16 * 1024, ARENA_MAX_BYTES = 64 << 20, TRIAL_VALUES_MAX = 1 << 16 };
enum { LONG_NS = 20000000 }; /* a row that takes longer gains little from company */

static void ort_free(struct ig_foreign *foreign)
{
    struct ort_session *session = (struct ort_session *)(void *)foreign;
    if (session->handle) session->library->api.ReleaseSession(session->handle);
    pthread_mutex_destroy(&session->lock);
    ig_arena_deinit(&session->arena);
    ig_free(session);
}

/* ---- birth ---- */

static bool set_options(const struct ort_library *library, struct ort_options *options,
                        struct ig_err *err)
{
    static const char *const switches[][2] = {
        {"session.intra_op.allow_spinning", "0"},
        {"session.inter_op.allow_spinning", "0"},
        {"session.load_model_format", "ONNX"},
        {"session.x64quantprecision", "1"}, /* int8 products do not saturate without VNNI */
    };
    const struct ort_api *api = &library->api;
    bool good = ort_good(library, api->SetSessionExecutionMode(options, 0), "mode", err) &&
                ort_good(library, api->SetIntraOpNumThreads(options, 1), "threads", err) &&
                ort_good(library, api->SetInterOpNumThreads(options, 1), "threads", err) &&
                ort_good(library, api->DisableMemPattern(options), "patterns", err) &&
                ort_good(library, api->DisableCpuMemArena(options), "arena", err) &&
                ort_good(library, api->SetSessionLogSeverityLevel(options, SEVERITY_FATAL),
                         "severity", err);
    for (size_t i = 0; good && i < sizeof switches / sizeof switches[0]; i++)
        good =
            ort_good(library, api->AddSessionConfigEntry(options, switches[i][0], switches[i][1]),
                     switches[i][0], err);
    return good;
}

static bool open_session(struct ort_session *session, struct ig_str bytes, struct ig_err *err)
{
    const struct ort_library *library = session->library;
    struct ort_options *options = NULL;
    bool good = ort_good(library, library->api.CreateSessionOptions(&options), "options", err) &&
                set_options(library, options, err) &&
                ort_good(library,
                         library->api.CreateSessionFromArray(library->env, bytes.ptr, bytes.len,
                                                             options, &session->handle),
                         "model", err);
    library->api.ReleaseSessionOptions(options);
    return good;
}

static bool no_memory(struct ig_err *err)
{
    ig_fail(err, IG_NO_MEMORY, "no memory for a session of ONNX Runtime");
    return false;
}

static bool read_shape(struct ort_end *end, const struct ort_library *library,
                       const struct ort_shape *shape, struct ig_err *err)
{
    int64_t dims[TENSOR_RANK_MAX];
    int type = 0;
    size_t rank = 0;
    if (!ort_good(library, library->api.GetTensorElementType(shape, &type), end->name, err) ||
        !ort_good(library, library->api.GetDimensionsCount(shape, &rank), end->name, err))
        return false;
    end->type = (enum ig_tensor_type)type;
    if (rank > IG_GRAPH_RANK_MAX) {
        ig_fail(err, IG_UNSUPPORTED, "'%.80s': %zu dimensions, at most %d", end->name, rank,
                IG_GRAPH_RANK_MAX);
        return false;
    }
    if (!ort_good(library, library->api.GetDimensions(shape, dims, rank), end->name, err))
        return false;
    end->rank = (uint32_t)rank;
    for (size_t i = 0; i < rank; i++) end->dims[i] = dims[i];
    end->open = rank > 0 && dims[0] < 0;
    return true;
}

static bool read_end(struct ort_end *end, struct ort_session *session, uint32_t index, bool input,
                     struct ig_err *err)
{
    const struct ort_library *library = session->library;
    const struct ort_api *api = &library->api;
    const struct ort_shape *shape = NULL;
    struct ort_type *type = NULL;
    char *name = NULL;
    bool good = ort_good(
        library,
        input ? api->SessionGetInputName(session->handle, index, library->allocator, &name)
              : api->SessionGetOutputName(session->handle, index, library->allocator, &name),
        "name", err);
    if (!good) return false;
    end->name = ig_arena_cstr(&session->arena, ig_str_view(name));
    good = end->name || no_memory(err);
    ort_good(library, api->AllocatorFree(library->allocator, name), "name", err);
    good = good && err->code == IG_OK &&
           ort_good(library,
                    input ? api->SessionGetInputTypeInfo(session->handle, index, &type)
                          : api->SessionGetOutputTypeInfo(session->handle, index, &type),
                    end->name, err) &&
           ort_good(library, api->CastTypeInfoToTensorInfo(type, &shape), end->name, err);
    if (good && !shape) {
        ig_fail(err, IG_UNSUPPORTED, "%s '%.80s' is no tensor%s", input ? "input" : "output",
                end->name,
                input ? ""
                      : "; a sequence of maps comes from ZipMap: convert the model without it "
                        "(skl2onnx: options={'zipmap': False})");
        good = false;
    }
    good = good && read_shape(end, library, shape, err);
    api->ReleaseTypeInfo(type);
    return good;
}

static bool check_input(struct ort_end *input, struct ig_err *err)
{
    int64_t dims[IG_GRAPH_RANK_MAX];
    memcpy(dims, input->dims, sizeof dims);
    if (input->open) dims[0] = 1;
    if (!ig_tensor_type_bytes(input->type))
        ig_fail(err, IG_UNSUPPORTED,
                "input '%.80s': elements of ONNX's type %d, expected float32, float64, an integer "
                "of 8, 32 or 64 bits, bool or string",
                input->name, (int)input->type);
    else if (!ig_tensor_size(&input->count, dims, input->rank))
        ig_fail(err, IG_UNSUPPORTED,
                "input '%.80s': a dimension besides the first is not declared, or too large",
                input->name);
    return err->code == IG_OK;
}

static bool read_inputs(struct ort_session *session, struct ig_err *err)
{
    struct ig_arena *arena = &session->arena;
    struct ig_foreign_input *facts;
    size_t count = 0, features = 0;
    if (!ort_good(session->library,
                  session->library->api.SessionGetInputCount(session->handle, &count), "inputs",
                  err))
        return false;
    if (count > ENDS_MAX) {
        ig_fail(err, IG_TOO_LARGE, "%zu inputs, at most %d", count, ENDS_MAX);
        return false;
    }
    session->inputs = ig_arena_array(arena, count + 1, sizeof *session->inputs);
    session->input_names = ig_arena_array(arena, count + 1, sizeof(char *));
    facts = ig_arena_array(arena, count + 1, sizeof *facts);
    if (!session->inputs || !session->input_names || !facts) return no_memory(err);
    for (uint32_t i = 0; i < count; i++) {
        struct ort_end *input = &session->inputs[i];
        if (!read_end(input, session, i, true, err) || !check_input(input, err)) return false;
        session->input_names[i] = input->name;
        input->first = (uint32_t)features;
        facts[i] = (struct ig_foreign_input){
            ig_str_view(input->name), input->type == IG_TENSOR_STRING, (uint32_t)input->count};
        features += input->count;
        if (features > INT32_MAX) break;
    }
    if (features == 0 || features > INT32_MAX) {
        ig_fail(err, IG_UNSUPPORTED, "the graph takes %zu numbers, expected 1 to %d", features,
                INT32_MAX);
        return false;
    }
    session->foreign.inputs = facts;
    session->foreign.inputs_count = (uint32_t)count;
    session->foreign.features_count = (uint32_t)features;
    return true;
}

static bool is_floating(enum ig_tensor_type type)
{
    return type == IG_TENSOR_F32 || type == IG_TENSOR_F64;
}

/* One of text or whole numbers, of one element a row as far as the file says. */
static bool is_label(const struct ort_end *output)
{
    int64_t last = output->rank ? output->dims[output->rank - 1] : 1;
    return (output->type == IG_TENSOR_STRING || output->type == IG_TENSOR_I64) &&
           output->rank <= 2 && (output->rank < 2 || last == 1);
}

static bool choose_output(struct ort_session *session, struct ig_err *err)
{
    struct ort_end chosen = {.name = NULL}, output;
    size_t count = 0;
    if (!ort_good(session->library,
                  session->library->api.SessionGetOutputCount(session->handle, &count), "outputs",
                  err))
        return false;
    for (uint32_t i = 0; i < count && i < ENDS_MAX; i++) {
        output = (struct ort_end){.name = NULL};
        if (!read_end(&output, session, i, false, err)) return false;
        if (is_label(&output)) session->foreign.beside_label = true;
        if (!ig_tensor_type_bytes(output.type) || output.type == IG_TENSOR_STRING) continue;
        if (is_floating(output.type) || !is_floating(chosen.type)) chosen = output;
    }
    if (!chosen.name) {
        ig_fail(err, IG_UNSUPPORTED, "no output of the graph is numeric");
        return false;
    }
    if (!is_floating(chosen.type)) session->foreign.beside_label = false; /* the label itself */
    session->output_name = chosen.name;
    return true;
}

/* ---- the trial ---- */

/* A row of zeros: how many values come. */
static bool try_one(struct ort_session *session, struct ig_err *err)
{
    double *row = ig_zalloc_array(session->foreign.features_count, sizeof *row);
    void *scratch = ig_alloc_aligned(ORT_ALIGNMENT, ort_scratch_bytes(&session->foreign, 1));
    const struct ort_batch batch = {NULL, row, 1, NULL};
    struct ort_value *output = NULL;
    struct ort_elements elements = {.count = 0};
    bool good = ((row && scratch) || no_memory(err)) &&
                ort_run_batch(&output, session, &batch, scratch, err) &&
                ort_open_output(&elements, session->library, output, err);
    if (good && (elements.count == 0 || elements.count > INT32_MAX))
        ig_fail(err, IG_UNSUPPORTED, "output '%.80s' has %zu values, expected 1 to %d",
                session->output_name, elements.count, INT32_MAX);
    session->foreign.values_count = (uint32_t)elements.count;
    session->library->api.ReleaseValue(output);
    ig_free(row);
    ig_free(scratch);
    if (err->code == IG_OK) return true;
    ig_err_prefix(err, "a trial of a row of zeros");
    return false;
}

/* Numbers of many digits where they are floats, 0 and 1 where they may be indices. */
static void fill_trial(double *rows, const struct ort_session *session)
{
    double x = 0.5;
    for (size_t row = 0; row < ORT_BATCH_ROWS; row++)
        for (uint32_t i = 0; i < session->foreign.inputs_count; i++)
            for (size_t k = 0; k < session->inputs[i].count; k++) {
                x = 3.9 * x * (1 - x);
                *rows++ = is_floating(session->inputs[i].type) ? 2 * x - 1 : x > 0.5;
            }
}

static bool all_open(const struct ort_session *session)
{
    for (uint32_t i = 0; i < session->foreign.inputs_count; i++)
        if (!session->inputs[i].open) return false;
    return true;
}

/* Whether rows in company and alone get the same bits. Memory that is out means no. */
static bool try_batches(struct ort_session *session)
{
    uint32_t features = session->foreign.features_count, each = session->foreign.values_count;
    struct ig_err err = IG_ERR_INIT;
    if (!all_open(session) || features > TRIAL_VALUES_MAX || each > TRIAL_VALUES_MAX) return false;
    session->batches = true; /* of what scratch is for */
    double *rows = ig_zalloc_array((size_t)ORT_BATCH_ROWS * features, sizeof *rows);
    double *alone = ig_zalloc_array((size_t)ORT_BATCH_ROWS * each, sizeof *alone);
    double *together = ig_zalloc_array((size_t)ORT_BATCH_ROWS * each, sizeof *together);
    void *scratch =
        ig_alloc_aligned(ORT_ALIGNMENT, ort_scratch_bytes(&session->foreign, ORT_BATCH_ROWS));
    bool good = rows && alone && together && scratch;
    if (good) fill_trial(rows, session);
    for (size_t i = 0; good && i < ORT_BATCH_ROWS; i++) {
        const struct ort_batch one = {NULL, rows + i * features, 1, NULL};
        uint64_t start = ig_clock_ns();
        good = ort_run_values(alone + i * each, session, &one, scratch, &err) &&
               ig_clock_ns() - start < LONG_NS;
    }
    const struct ort_batch all = {NULL, rows, ORT_BATCH_ROWS, NULL};
    good = good && ort_run_values(together, session, &all, scratch, &err) &&
           memcmp(alone, together, (size_t)ORT_BATCH_ROWS * each * sizeof *alone) == 0;
    ig_free(rows);
    ig_free(alone);
    ig_free(together);
    ig_free(scratch);
    return good;
}

static bool prepare(struct ort_session *session, struct ig_str bytes, struct ig_str reason,
                    struct ig_err *err)
{
    struct ig_foreign *foreign = &session->foreign;
    if (ort_library_get(&session->library, err) != IG_OK) return false;
    foreign->runtime = IG_STR("onnxruntime");
    foreign->version = ig_str_view(session->library->version);
    foreign->reason = ig_arena_dup(&session->arena, reason);
    if (!foreign->reason.ptr) return no_memory(err);
    if (!open_session(session, bytes, err) || !read_inputs(session, err) ||
        !choose_output(session, err) || !try_one(session, err))
        return false;
    session->batches = try_batches(session);
    foreign->memory_bytes = 2 * bytes.len + session->arena.held_bytes;
    return true;
}

enum ig_code ig_ort_new(struct ig_foreign **out, struct ig_str bytes, struct ig_str reason,
                        struct ig_err *err)
{
    struct ort_session *session = ig_zalloc(sizeof *session);
    if (!session) return ig_fail(err, IG_NO_MEMORY, "no memory for a session of ONNX Runtime");
    ig_arena_init(&session->arena, ARENA_CHUNK_BYTES, ARENA_MAX_BYTES);
    pthread_mutex_init(&session->lock, NULL);
    session->foreign.run = ort_run;
    session->foreign.scratch_bytes = ort_scratch_bytes;
    session->foreign.failure = ort_failure;
    session->foreign.free = ort_free;
    if (!prepare(session, bytes, reason, err)) {
        ort_free(&session->foreign);
        return ig_err_code(err);
    }
    *out = &session->foreign;
    return IG_OK;
}
