/* SPDX-License-Identifier: Apache-2.0 */
#include "api/gather.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

enum {
    CALLS_MAX = 64,     /* that wait on a loop */
    CALL_ROWS_MAX = 15, /* more are a batch by themselves */
    BATCH_ROWS_MAX = 64,
    CHUNK_BYTES = 64 << 10,
    BATCH_BYTES_MAX = 64 << 20,
};

struct gathered {
    struct ig_call *first, **last;
    size_t count;
    struct ig_arena arena; /* of what is computed together, until the next turn end */
};

struct ig_gather {
    unsigned loops;
    uint64_t gain_ns;
    struct gathered of_loop[];
};

enum ig_code ig_gather_new(struct ig_gather **out, unsigned loops, uint64_t gain_ns,
                           struct ig_err *err)
{
    struct ig_gather *gather = ig_zalloc(sizeof *gather + loops * sizeof *gather->of_loop);
    if (!gather) return ig_fail(err, IG_NO_MEMORY, "no memory for %u loops", loops);
    gather->loops = loops;
    gather->gain_ns = gain_ns;
    for (unsigned i = 0; i < loops; i++) {
        gather->of_loop[i].last = &gather->of_loop[i].first;
        ig_arena_init(&gather->of_loop[i].arena, CHUNK_BYTES, BATCH_BYTES_MAX);
    }
    *out = gather;
    return IG_OK;
}

void ig_gather_free(struct ig_gather *gather)
{
    if (!gather) return;
    for (unsigned i = 0; i < gather->loops; i++) ig_arena_deinit(&gather->of_loop[i].arena);
    ig_free(gather);
}

/* ---- what goes together ---- */

/* The engine's own values, in a call that needs no other account. */
static bool is_plain(const struct ig_infer *infer)
{
    const struct ig_infer_part *part = &infer->parts[0];
    const struct ig_routing *routing = infer->routing;
    const struct ig_explain_choice *choice = part->inference.choice;
    return infer->parts_count == 1 && part->inference.rows_count <= CALL_ROWS_MAX &&
           !routing->replicas && !routing->responses && !routing->spec.resources.cpu_thousandths &&
           (!choice || !choice->explain);
}

static bool gains(const struct ig_infer *infer, uint64_t least_ns)
{
    const struct ig_package *package = infer->parts[0].servable->package;
    enum ig_engine_op op = infer->explain ? IG_ENGINE_CONTRIBUTIONS : IG_ENGINE_MARGIN;
    return package->engine && !package->model->foreign &&
           ig_engine_gain_ns(package->engine, op) >= least_ns;
}

bool ig_gather_add(struct ig_gather *gather, struct ig_call *call, const struct ig_infer *infer,
                   enum ig_code (*go_on)(struct ig_call *call))
{
    struct gathered *own = &gather->of_loop[call->exchange->loop];
    if (own->count == CALLS_MAX || !is_plain(infer) || !gains(infer, gather->gain_ns)) return false;
    if (call->exchange->turn_is_ending) call->held = ig_routing_ref(infer->routing);
    call->at_turn_end = go_on;
    call->next = NULL;
    *own->last = call;
    own->last = &call->next;
    own->count++;
    return true;
}

static struct ig_infer_part *part_of(const struct ig_call *call)
{
    return ((struct ig_infer *)call->state)->parts;
}

static bool go_together(const struct ig_infer_part *a, const struct ig_infer_part *b)
{
    return a->servable == b->servable && a->inference.explain == b->inference.explain;
}

/* ---- computing ---- */

struct batch {
    struct ig_call *calls[CALLS_MAX];
    size_t count, rows_count;
};

/* The call and those behind it that go with it and are not computed yet. */
static void fill(struct batch *batch, struct ig_call *call)
{
    const struct ig_infer_part *lead = part_of(call);
    *batch = (struct batch){.count = 0};
    for (; call && batch->count < CALLS_MAX; call = call->next) {
        struct ig_infer_part *part = part_of(call);
        size_t rows = batch->rows_count + part->inference.rows_count;
        if (part->gathered || rows > BATCH_ROWS_MAX || !go_together(part, lead)) continue;
        batch->calls[batch->count++] = call;
        batch->rows_count = rows;
    }
}

static bool run(struct ig_inference_result *out, const struct batch *batch, struct ig_arena *arena)
{
    const struct ig_infer_part *lead = part_of(batch->calls[0]);
    size_t features = lead->servable->package->model->features_count, filled = 0;
    double *rows = ig_arena_array(arena, batch->rows_count, features * sizeof *rows);
    struct ig_err err = IG_ERR_INIT;
    for (size_t i = 0; rows && i < batch->count; i++) {
        const struct ig_inference_request *own = &part_of(batch->calls[i])->inference;
        memcpy(rows + filled, own->rows, own->rows_count * features * sizeof *rows);
        filled += own->rows_count * features;
    }
    const struct ig_inference_request all = {
        .rows = rows, .rows_count = batch->rows_count, .explain = lead->inference.explain};
    return rows && ig_inference_run(out, lead->servable, &all, arena, &err) == IG_OK &&
           !out->skipped;
}

static void hand_out(const struct batch *batch, const struct ig_inference_result *all,
                     uint64_t started_ns)
{
    const struct ig_model *model = part_of(batch->calls[0])->servable->package->model;
    uint64_t spent_ns = ig_clock_ns() - started_ns;
    size_t at = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct ig_infer_part *part = part_of(batch->calls[i]);
        size_t rows = part->inference.rows_count;
        part->result = *all;
        part->result.rows_count = rows;
        part->result.margins += at * all->outputs_count;
        part->result.predictions += at * all->predictions_count;
        part->result.choice = part->inference.choice;
        if (all->explanations.rows_count) {
            part->result.explanations = ig_explanations_row(&all->explanations, at, model);
            part->result.explanations.rows_count = rows;
        }
        part->started_ns = started_ns;
        part->spent_ns = spent_ns;
        part->gathered = batch->calls[i]->gathered = true;
        at += rows;
    }
}

/* One that fails leaves its calls to be computed each by itself, with an error of its own. */
static void compute(struct ig_call *call, struct ig_arena *arena)
{
    struct batch batch;
    struct ig_inference_result all;
    uint64_t started_ns = ig_clock_ns();
    if (part_of(call)->gathered) return;
    fill(&batch, call);
    if (batch.count > 1 && run(&all, &batch, arena)) hand_out(&batch, &all, started_ns);
}

struct ig_call *ig_gather_take(struct ig_gather *gather, unsigned loop)
{
    struct gathered *own = &gather->of_loop[loop];
    struct ig_call *first = own->first;
    own->first = NULL;
    own->last = &own->first;
    own->count = 0;
    ig_arena_reset(&own->arena);
    for (struct ig_call *call = first; call; call = call->next) compute(call, &own->arena);
    return first;
}
