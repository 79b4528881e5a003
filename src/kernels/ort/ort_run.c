/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of a session: rows into tensors in the caller's scratch, the library's run, its output into
 * values. Thread rule: any number of threads on one session.
 *
 * A row's values must not depend on its company, and a product over sixteen rows need not add in
 * the order of a product over one. So rows run in batches of exactly ORT_BATCH_ROWS, where a trial
 * at load gave the bits of the same rows alone (which code runs depends on shapes, not on numbers),
 * and else one by one. */
#include "kernels/ort/ort_priv.h"

#include <stdio.h>
#include <string.h>

static const struct ort_session *session_of(const struct ig_foreign *foreign)
{
    return (const struct ort_session *)(const void *)foreign;
}

static size_t align_up(size_t bytes)
{
    return (bytes + ORT_ALIGNMENT - 1) / ORT_ALIGNMENT * ORT_ALIGNMENT;
}

static size_t batch_of(const struct ort_session *session, size_t rows_count)
{
    return session->batches && rows_count >= ORT_BATCH_ROWS ? ORT_BATCH_ROWS : 1;
}

static size_t slot_bytes(const struct ort_end *input, size_t rows_count)
{
    return align_up(input->count * rows_count * sizeof(double) + 1);
}

/* The inputs' values, then their elements. */
size_t ort_scratch_bytes(const struct ig_foreign *foreign, size_t rows_count)
{
    const struct ort_session *session = session_of(foreign);
    size_t batch = batch_of(session, rows_count);
    size_t bytes = align_up(foreign->inputs_count * sizeof(void *));
    for (uint32_t i = 0; i < foreign->inputs_count; i++)
        bytes += slot_bytes(&session->inputs[i], batch);
    return bytes;
}

/* The word of a code; empty for one that is missing or unknown. */
static const char *word_of(const struct ig_model *model, uint32_t feature, double code)
{
    const struct ig_input *input = model ? &model->inputs[feature] : NULL;
    if (!input || !(code >= 0 && code < input->categories_count)) return "";
    return input->categories[(uint32_t)code].ptr;
}

static void fill_numbers(void *data, const struct ort_end *input, const struct ort_batch *batch,
                         uint32_t features)
{
    for (size_t row = 0; row < batch->count; row++) {
        const double *from = batch->rows + row * features + input->first;
        size_t at = row * input->count;
        if (input->type == IG_TENSOR_F32) {
            float *to = (float *)data + at;
            for (size_t k = 0; k < input->count; k++) to[k] = (float)from[k];
            continue;
        }
        for (size_t k = 0; k < input->count; k++) ig_tensor_put(data, input->type, at + k, from[k]);
    }
}

static void fill_words(const char **words, const struct ort_end *input,
                       const struct ort_batch *batch, uint32_t features)
{
    for (size_t row = 0; row < batch->count; row++)
        for (size_t k = 0; k < input->count; k++)
            words[row * input->count + k] = word_of(batch->model, input->first + (uint32_t)k,
                                                    batch->rows[row * features + input->first + k]);
}

static bool make_input(struct ort_value **out, const struct ort_session *session, uint32_t index,
                       const struct ort_batch *batch, void *data, struct ig_err *err)
{
    const struct ort_library *library = session->library;
    const struct ort_end *input = &session->inputs[index];
    size_t count = input->count * batch->count;
    uint32_t features = session->foreign.features_count;
    int64_t dims[IG_GRAPH_RANK_MAX];
    memcpy(dims, input->dims, sizeof dims);
    if (input->open) dims[0] = (int64_t)batch->count;
    if (input->type != IG_TENSOR_STRING) {
        size_t bytes = count * ig_tensor_type_bytes(input->type);
        fill_numbers(data, input, batch, features);
        return ort_good(library,
                        library->api.CreateTensorWithDataAsOrtValue(
                            library->memory, data, bytes, dims, input->rank, (int)input->type, out),
                        input->name, err);
    }
    fill_words(data, input, batch, features);
    return ort_good(library,
                    library->api.CreateTensorAsOrtValue(library->allocator, dims, input->rank,
                                                        IG_TENSOR_STRING, out),
                    input->name, err) &&
           ort_good(library, library->api.FillStringTensor(*out, data, count), input->name, err);
}

bool ort_run_batch(struct ort_value **out, const struct ort_session *session,
                   const struct ort_batch *batch, void *scratch, struct ig_err *err)
{
    const struct ort_library *library = session->library;
    uint32_t count = session->foreign.inputs_count;
    struct ort_value **values = scratch;
    char *at = (char *)scratch + align_up(count * sizeof(void *));
    bool good = true;
    memset(values, 0, count * sizeof(void *));
    for (uint32_t i = 0; good && i < count; i++) {
        good = make_input(&values[i], session, i, batch, at, err);
        at += slot_bytes(&session->inputs[i], batch->count);
    }
    good = good && ort_good(library,
                            library->api.Run(session->handle, batch->options, session->input_names,
                                             (const struct ort_value *const *)values, count,
                                             &session->output_name, 1, out),
                            "run", err);
    for (uint32_t i = 0; i < count; i++) library->api.ReleaseValue(values[i]);
    return good;
}

bool ort_open_output(struct ort_elements *out, const struct ort_library *library,
                     struct ort_value *output, struct ig_err *err)
{
    struct ort_shape *shape = NULL;
    void *data = NULL;
    int type = 0;
    size_t count = 0;
    bool good =
        ort_good(library, library->api.GetTensorTypeAndShape(output, &shape), "output", err) &&
        ort_good(library, library->api.GetTensorElementType(shape, &type), "output", err) &&
        ort_good(library, library->api.GetTensorShapeElementCount(shape, &count), "output", err) &&
        ort_good(library, library->api.GetTensorMutableData(output, &data), "output", err);
    library->api.ReleaseTensorTypeAndShapeInfo(shape);
    *out = (struct ort_elements){data, (enum ig_tensor_type)type, count};
    if (!good || (ig_tensor_type_bytes(out->type) && out->type != IG_TENSOR_STRING)) return good;
    ig_fail(err, IG_UNSUPPORTED, "the output's elements are of ONNX's type %d, expected numbers",
            type);
    return false;
}

static bool take_values(double *values, const struct ort_session *session, struct ort_value *output,
                        size_t rows_count, struct ig_err *err)
{
    struct ort_elements elements;
    size_t wanted = rows_count * session->foreign.values_count;
    if (!ort_open_output(&elements, session->library, output, err)) return false;
    if (elements.count != wanted) {
        ig_fail(err, IG_UNSUPPORTED, "output '%.80s': %zu values of %zu rows, expected %zu",
                session->output_name, elements.count, rows_count, wanted);
        return false;
    }
    for (size_t i = 0; i < wanted; i++) values[i] = ig_tensor_get(elements.data, elements.type, i);
    return true;
}

bool ort_run_values(double *values, const struct ort_session *session,
                    const struct ort_batch *batch, void *scratch, struct ig_err *err)
{
    struct ort_value *output = NULL;
    bool good = ort_run_batch(&output, session, batch, scratch, err) &&
                take_values(values, session, output, batch->count, err);
    session->library->api.ReleaseValue(output);
    return good;
}

static void note_failure(const struct ort_session *session, enum ig_code code,
                         const struct ig_err *err)
{
    struct ort_session *own = (struct ort_session *)(uintptr_t)session;
    pthread_mutex_lock(&own->lock);
    snprintf(own->failed, sizeof own->failed, "%.399s", err->message);
    own->failed_code = code;
    pthread_mutex_unlock(&own->lock);
}

/* Of a batch that fails, each row for itself: the others answer. */
static void run_marking(double *values, const struct ort_session *session,
                        const struct ort_batch *batch, void *scratch)
{
    size_t each = session->foreign.values_count, features = session->foreign.features_count;
    struct ig_err err = IG_ERR_INIT;
    if (ort_run_values(values, session, batch, scratch, &err)) return;
    if (batch->count == 1) {
        note_failure(session, IG_INTERNAL, &err);
        ig_foreign_mark(values, each);
        return;
    }
    for (size_t i = 0; i < batch->count; i++) {
        const struct ort_batch one = {batch->model, batch->rows + i * features, 1, batch->options};
        struct ig_err own = IG_ERR_INIT;
        if (ort_run_values(values + i * each, session, &one, scratch, &own)) continue;
        note_failure(session, IG_INTERNAL, &own);
        ig_foreign_mark(values + i * each, each);
    }
}

/* How many rows were tried before it was late; `watch` may be NULL. */
static size_t run_rows(const struct ort_batch *all, double *values, void *scratch,
                       struct ort_watch *watch)
{
    const struct ort_session *session = session_of(all->model->foreign);
    size_t done = 0;
    while (done < all->count && !(watch && ort_watch_is_late(watch))) {
        size_t count = batch_of(session, all->count - done);
        const struct ort_batch batch = {all->model,
                                        all->rows + done * session->foreign.features_count, count,
                                        watch ? watch->options : NULL};
        run_marking(values + done * session->foreign.values_count, session, &batch, scratch);
        done += count;
    }
    return done;
}

/* Rows that were answered in time stay answered. */
static void run_in_time(const struct ort_batch *all, double *values, void *scratch,
                        uint32_t timeout_ms)
{
    const struct ort_session *session = session_of(all->model->foreign);
    size_t each = session->foreign.values_count, done = 0;
    struct ig_err err = IG_ERR_INIT;
    struct ort_watch watch;
    if (!ort_watch_begin(&watch, session->library, timeout_ms, &err)) {
        note_failure(session, IG_INTERNAL, &err);
        ig_foreign_mark(values, all->count * each);
        return;
    }
    done = run_rows(all, values, scratch, &watch);
    bool late = ort_watch_is_late(&watch);
    ort_watch_end(&watch);
    ig_foreign_mark(values + done * each, (all->count - done) * each);
    if (!late || !ig_foreign_marked(values, all->count * each)) return;
    ig_fail(&err, IG_DEADLINE, "no answer within its timeout of %u ms", timeout_ms);
    note_failure(session, IG_DEADLINE, &err);
}

void ort_run(const struct ig_model *model, const double *rows, size_t rows_count, double *values,
             void *scratch, uint32_t timeout_ms)
{
    const struct ort_batch all = {model, rows, rows_count, NULL};
    if (timeout_ms)
        run_in_time(&all, values, scratch, timeout_ms);
    else
        run_rows(&all, values, scratch, NULL);
}

enum ig_code ort_failure(const struct ig_foreign *foreign, struct ig_err *err)
{
    struct ort_session *own = (struct ort_session *)(uintptr_t)session_of(foreign);
    pthread_mutex_lock(&own->lock);
    if (own->failed[0]) ig_fail(err, own->failed_code, "%s", own->failed);
    pthread_mutex_unlock(&own->lock);
    return err->code;
}
