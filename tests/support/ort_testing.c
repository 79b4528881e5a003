/* SPDX-License-Identifier: Apache-2.0 */
/* A library that answers as ONNX Runtime does, for tests where that is not installed: the same
 * table, and "models" that are told by words within their bytes.
 *
 *   (no word)     x float32 [N, 3] -> y float32 [N, 1], the sum
 *   "ints"        x is int64
 *   "text"        x is string [N, 2]; y is the sum of lengths
 *   "label"       an int64 output besides, and y [N, 2]: the sum and its negative
 *   "map"         an output that is no tensor, besides
 *   "half"        x is float16
 *   "open"        x is [N, -1]
 *   "fixed"       x is [1, 3]
 *   "company"     y is greater by 1 for a batch of more than one row
 *   "thirteen"    a run fails when an element of x is 13
 *   "ragged"      y has a row too many when an element of x is 13
 *   "slow"        a run takes until it is told to end, or 10 s, when an element of x is 17
 *   "broken"      the session cannot be made
 *
 * FAKE_ORT=old in the environment: it knows no version asked for; FAKE_ORT=gap: the table ends
 * early. fake_ort_live() counts what was made and not released. */
#include "kernels/ort/ort_priv.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))

enum { TABLE_ENTRIES = 160, WORDS_MAX = 16, FLOAT = 1, INT64 = 7, STRING = 8, HALF = 10 };

struct ort_status {
    char text[128];
};
struct ort_env {
    int unused;
};
struct ort_memory {
    int unused;
};
struct ort_allocator {
    int unused;
};
struct ort_options {
    int intra, inter, entries;
    bool no_arena;
};
struct ort_run_options {
    atomic_bool ends;
};
struct ort_shape {
    int type;
    size_t rank;
    int64_t dims[4];
};
struct ort_type {
    struct ort_shape shape;
    bool tensor;
};
struct ort_value {
    struct ort_shape shape;
    void *data;
    bool own;
    char **words;
};
struct ort_handle {
    bool ints, text, label, map, half, open, fixed, company, thirteen, ragged, slow;
};

static struct ort_env environment;
static struct ort_memory main_memory;
static struct ort_allocator allocator_of_names;
static atomic_int live;

EXPORT const struct ort_base *OrtGetApiBase(void);
EXPORT int fake_ort_live(void);

int fake_ort_live(void)
{
    return atomic_load(&live);
}

static void *make(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory) abort();
    atomic_fetch_add(&live, 1);
    return memory;
}

static void unmake(void *memory)
{
    if (memory) atomic_fetch_sub(&live, 1);
    free(memory);
}

static struct ort_status *failed(const char *text)
{
    struct ort_status *status = make(sizeof *status);
    snprintf(status->text, sizeof status->text, "%s", text);
    return status;
}

static size_t elements(const struct ort_shape *shape)
{
    size_t count = 1;
    for (size_t i = 0; i < shape->rank; i++) count *= (size_t)shape->dims[i];
    return count;
}

static const char *fake_GetErrorMessage(const struct ort_status *status)
{
    return status->text;
}

static struct ort_status *fake_CreateEnv(int severity, const char *id, struct ort_env **out)
{
    if (severity != 4 || strcmp(id, "ingot") != 0) return failed("an odd environment");
    *out = &environment;
    return NULL;
}

static struct ort_status *fake_DisableTelemetryEvents(const struct ort_env *env)
{
    return env == &environment ? NULL : failed("no environment");
}

static bool has(const void *bytes, size_t size, const char *word)
{
    return memmem(bytes, size, word, strlen(word)) != NULL;
}

static struct ort_status *fake_CreateSessionFromArray(const struct ort_env *env, const void *bytes,
                                                      size_t size,
                                                      const struct ort_options *options,
                                                      struct ort_handle **out)
{
    if (env != &environment || options->intra != 1 || options->inter != 1 || !options->no_arena ||
        options->entries != 4)
        return failed("a session that would not keep to one thread");
    if (has(bytes, size, "broken")) return failed("this model is broken");
    struct ort_handle *handle = make(sizeof *handle);
    *handle = (struct ort_handle){
        .ints = has(bytes, size, "ints"),
        .text = has(bytes, size, "text"),
        .label = has(bytes, size, "label"),
        .map = has(bytes, size, "map"),
        .half = has(bytes, size, "half"),
        .open = has(bytes, size, "open"),
        .fixed = has(bytes, size, "fixed"),
        .company = has(bytes, size, "company"),
        .thirteen = has(bytes, size, "thirteen"),
        .ragged = has(bytes, size, "ragged"),
        .slow = has(bytes, size, "slow"),
    };
    *out = handle;
    return NULL;
}

static bool has_number(const struct ort_value *input, float number)
{
    for (size_t i = 0; i < elements(&input->shape); i++)
        if (input->shape.type == FLOAT && ((const float *)input->data)[i] == number) return true;
    return false;
}

/* False: it was told to end. */
static bool take_long(const struct ort_run_options *options)
{
    const struct timespec pause = {0, 1000000};
    for (int i = 0; i < 10000; i++) {
        if (options && atomic_load(&options->ends)) return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

static float element(const struct ort_value *input, size_t index)
{
    if (input->shape.type == STRING) return (float)strlen(input->words[index]);
    if (input->shape.type == INT64) return (float)((const int64_t *)input->data)[index];
    return ((const float *)input->data)[index];
}

static struct ort_status *fake_Run(struct ort_handle *session,
                                   const struct ort_run_options *options, const char *const *names,
                                   const struct ort_value *const *inputs, size_t inputs_count,
                                   const char *const *output_names, size_t outputs_count,
                                   struct ort_value **outputs)
{
    const struct ort_value *input = inputs[0];
    bool thirteen = has_number(input, 13);
    if (inputs_count != 1 || outputs_count != 1 || strcmp(names[0], "x") != 0 ||
        strcmp(output_names[0], "y") != 0)
        return failed("an odd run");
    if (thirteen && session->thirteen) return failed("thirteen is no index");
    if (options && atomic_load(&options->ends)) return failed("told to end");
    if (session->slow && has_number(input, 17) && !take_long(options)) return failed("told to end");
    size_t rows = (size_t)input->shape.dims[0], columns = (size_t)input->shape.dims[1];
    size_t each = session->label ? 2 : 1, more = thirteen && session->ragged;
    struct ort_value *output = make(sizeof *output);
    output->own = true;
    output->shape = (struct ort_shape){FLOAT, 2, {(int64_t)(rows + more), (int64_t)each}};
    float *data = output->data = make((rows + more) * each * sizeof(float));
    for (size_t row = 0; row < rows; row++) {
        float sum = session->company && rows > 1 ? 1 : 0;
        for (size_t k = 0; k < columns; k++) sum += element(input, row * columns + k);
        for (size_t k = 0; k < each; k++) data[row * each + k] = k ? -sum : sum;
    }
    *outputs = output;
    return NULL;
}

static struct ort_status *fake_CreateRunOptions(struct ort_run_options **out)
{
    *out = make(sizeof **out);
    return NULL;
}

static struct ort_status *fake_RunOptionsSetTerminate(struct ort_run_options *options)
{
    atomic_store(&options->ends, true);
    return NULL;
}

static void fake_ReleaseRunOptions(struct ort_run_options *options)
{
    unmake(options);
}

static struct ort_status *fake_CreateSessionOptions(struct ort_options **out)
{
    *out = make(sizeof **out);
    return NULL;
}

static struct ort_status *fake_SetSessionExecutionMode(struct ort_options *options, int mode)
{
    return options && mode == 0 ? NULL : failed("an odd mode");
}

static struct ort_status *fake_DisableMemPattern(struct ort_options *options)
{
    return options ? NULL : failed("no options");
}

static struct ort_status *fake_DisableCpuMemArena(struct ort_options *options)
{
    options->no_arena = true;
    return NULL;
}

static struct ort_status *fake_SetSessionLogSeverityLevel(struct ort_options *options, int severity)
{
    return options && severity == 4 ? NULL : failed("an odd severity");
}

static struct ort_status *fake_SetIntraOpNumThreads(struct ort_options *options, int threads)
{
    options->intra = threads;
    return NULL;
}

static struct ort_status *fake_SetInterOpNumThreads(struct ort_options *options, int threads)
{
    options->inter = threads;
    return NULL;
}

static struct ort_status *fake_AddSessionConfigEntry(struct ort_options *options, const char *key,
                                                     const char *value)
{
    if (!*key || !*value) return failed("an empty switch");
    options->entries++;
    return NULL;
}

static struct ort_status *fake_SessionGetInputCount(const struct ort_handle *session, size_t *out)
{
    *out = session ? 1 : 0;
    return NULL;
}

static struct ort_status *fake_SessionGetOutputCount(const struct ort_handle *session, size_t *out)
{
    *out = 1 + (size_t)session->label + (size_t)session->map;
    return NULL;
}

static struct ort_status *fake_SessionGetInputTypeInfo(const struct ort_handle *session,
                                                       size_t index, struct ort_type **out)
{
    struct ort_type *type = make(sizeof *type);
    type->tensor = index == 0;
    type->shape = (struct ort_shape){FLOAT, 2, {-1, 3}};
    if (session->ints) type->shape.type = INT64;
    if (session->half) type->shape.type = HALF;
    if (session->text) type->shape = (struct ort_shape){STRING, 2, {-1, 2}};
    if (session->open) type->shape.dims[1] = -1;
    if (session->fixed) type->shape.dims[0] = 1;
    *out = type;
    return NULL;
}

static struct ort_status *fake_SessionGetOutputTypeInfo(const struct ort_handle *session,
                                                        size_t index, struct ort_type **out)
{
    struct ort_type *type = make(sizeof *type);
    type->tensor = !(session->map && index == 1);
    type->shape = (struct ort_shape){FLOAT, 2, {-1, session->label ? 2 : 1}};
    if (session->label && index == 1) type->shape = (struct ort_shape){INT64, 1, {-1}};
    *out = type;
    return NULL;
}

static char *name(const char *text)
{
    char *copy = make(strlen(text) + 1);
    memcpy(copy, text, strlen(text));
    return copy;
}

static struct ort_status *fake_SessionGetInputName(const struct ort_handle *session, size_t index,
                                                   struct ort_allocator *allocator, char **out)
{
    if (!session || index || allocator != &allocator_of_names) return failed("no such input");
    *out = name("x");
    return NULL;
}

static struct ort_status *fake_SessionGetOutputName(const struct ort_handle *session, size_t index,
                                                    struct ort_allocator *allocator, char **out)
{
    if (!session || allocator != &allocator_of_names) return failed("no such output");
    *out = name(index ? "other" : "y");
    return NULL;
}

static struct ort_value *value_of(const int64_t *dims, size_t rank, int type)
{
    struct ort_value *value = make(sizeof *value);
    value->shape.type = type;
    value->shape.rank = rank;
    memcpy(value->shape.dims, dims, rank * sizeof *dims);
    return value;
}

static struct ort_status *fake_CreateTensorAsOrtValue(struct ort_allocator *allocator,
                                                      const int64_t *dims, size_t rank, int type,
                                                      struct ort_value **out)
{
    if (allocator != &allocator_of_names || type != STRING || rank > 4) return failed("odd text");
    *out = value_of(dims, rank, type);
    return NULL;
}

static struct ort_status *fake_CreateTensorWithDataAsOrtValue(const struct ort_memory *memory,
                                                              void *data, size_t size,
                                                              const int64_t *dims, size_t rank,
                                                              int type, struct ort_value **out)
{
    if (memory != &main_memory || rank > 4) return failed("an odd tensor");
    *out = value_of(dims, rank, type);
    (*out)->data = data;
    if (size == elements(&(*out)->shape) * (type == INT64 ? 8 : 4)) return NULL;
    unmake(*out);
    *out = NULL;
    return failed("a tensor of another size");
}

static struct ort_status *fake_GetTensorMutableData(struct ort_value *value, void **out)
{
    *out = value->data;
    return NULL;
}

static struct ort_status *fake_FillStringTensor(struct ort_value *value, const char *const *texts,
                                                size_t count)
{
    if (count != elements(&value->shape)) return failed("other texts");
    value->words = make((count + 1) * sizeof *value->words);
    for (size_t i = 0; i < count; i++) value->words[i] = name(texts[i]);
    return NULL;
}

static struct ort_status *fake_CastTypeInfoToTensorInfo(const struct ort_type *type,
                                                        const struct ort_shape **out)
{
    *out = type->tensor ? &type->shape : NULL;
    return NULL;
}

static struct ort_status *fake_GetTensorElementType(const struct ort_shape *shape, int *out)
{
    *out = shape->type;
    return NULL;
}

static struct ort_status *fake_GetDimensionsCount(const struct ort_shape *shape, size_t *out)
{
    *out = shape->rank;
    return NULL;
}

static struct ort_status *fake_GetDimensions(const struct ort_shape *shape, int64_t *out,
                                             size_t rank)
{
    if (rank != shape->rank) return failed("another rank");
    memcpy(out, shape->dims, rank * sizeof *out);
    return NULL;
}

static struct ort_status *fake_GetTensorShapeElementCount(const struct ort_shape *shape,
                                                          size_t *out)
{
    *out = elements(shape);
    return NULL;
}

static struct ort_status *fake_GetTensorTypeAndShape(const struct ort_value *value,
                                                     struct ort_shape **out)
{
    *out = make(sizeof **out);
    **out = value->shape;
    return NULL;
}

static struct ort_status *fake_CreateCpuMemoryInfo(int allocator, int memory,
                                                   struct ort_memory **out)
{
    if (allocator || memory) return failed("odd memory");
    *out = &main_memory;
    return NULL;
}

static struct ort_status *fake_AllocatorFree(struct ort_allocator *allocator, void *memory)
{
    if (allocator != &allocator_of_names) return failed("another allocator");
    unmake(memory);
    return NULL;
}

static struct ort_status *fake_GetAllocatorWithDefaultOptions(struct ort_allocator **out)
{
    *out = &allocator_of_names;
    return NULL;
}

static void fake_ReleaseStatus(struct ort_status *status)
{
    unmake(status);
}

static void fake_ReleaseSession(struct ort_handle *session)
{
    unmake(session);
}

static void fake_ReleaseValue(struct ort_value *value)
{
    if (!value) return;
    for (size_t i = 0; value->words && i < elements(&value->shape); i++) unmake(value->words[i]);
    unmake(value->words);
    if (value->own) unmake(value->data);
    unmake(value);
}

static void fake_ReleaseTypeInfo(struct ort_type *type)
{
    unmake(type);
}

static void fake_ReleaseTensorTypeAndShapeInfo(struct ort_shape *shape)
{
    unmake(shape);
}

static void fake_ReleaseSessionOptions(struct ort_options *options)
{
    unmake(options);
}

static bool told(const char *word)
{
    const char *wish = getenv("FAKE_ORT");
    return wish && strcmp(wish, word) == 0;
}

static void *const *get_api(uint32_t version)
{
    static void *table[TABLE_ENTRIES];
    if (version != ORT_API_VERSION || told("old")) return NULL;
#define IG_ORT_ENTRY(index, result, name, parameters, doc)                                         \
    {                                                                                              \
        result(*function) parameters = fake_##name;                                                \
        memcpy(&table[index], &function, sizeof function);                                         \
    }
#include "kernels/ort/ort_entries.def"
#undef IG_ORT_ENTRY
    if (told("gap")) table[9] = NULL;
    return table;
}

static const char *get_version(void)
{
    return told("old") ? "1.3.0" : "1.99.0";
}

const struct ort_base *OrtGetApiBase(void)
{
    static const struct ort_base base = {get_api, get_version};
    return &base;
}
