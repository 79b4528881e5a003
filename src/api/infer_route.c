/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a call on their way through a deployment's graph, and what is told of it. */
#include "api/infer.h"

#include <string.h>

static struct ig_str find_header(void *context, struct ig_str name)
{
    const struct ig_call *call = context;
    return ig_http_header(&call->exchange->request, name);
}

static struct ig_str unit_of(const struct ig_call *call, const struct ig_infer *infer)
{
    if (infer->request.unit_id.ptr) return infer->request.unit_id;
    struct ig_str header = ig_http_header(&call->exchange->request, IG_STR("X-Unit-Id"));
    return header.ptr ? header : ig_str_view(call->request_id);
}

static enum ig_code fail_memory(struct ig_call *call)
{
    return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
}

/* The part of a route, found or begun. */
static struct ig_infer_part *part_for(struct ig_infer *infer, const struct ig_routing_path *route,
                                      size_t cap)
{
    for (size_t i = 0; i < infer->parts_count; i++)
        if (ig_routing_path_same(&infer->parts[i].route, route)) return &infer->parts[i];
    if (infer->parts_count == cap) return NULL;
    struct ig_infer_part *part = &infer->parts[infer->parts_count++]; /* zeroed */
    part->route = *route;
    part->servable = ig_routing_servable(infer->routing, route->node);
    part->inference.explain = infer->explain;
    return part;
}

/* A request rarely takes more than a few ways, and never more than it has rows. */
static bool grow_parts(struct ig_infer *infer, struct ig_arena *arena, size_t *cap)
{
    size_t wanted = *cap ? *cap * 4 : 1;
    struct ig_infer_part *parts = ig_arena_array(arena, wanted, sizeof *parts);
    if (!parts) return false;
    if (*cap) memcpy(parts, infer->parts, *cap * sizeof *parts);
    infer->parts = parts;
    *cap = wanted;
    return true;
}

static enum ig_code place_row(struct ig_call *call, struct ig_infer *infer, size_t row,
                              const struct ig_routing_path *route, size_t *cap)
{
    struct ig_infer_part *part = part_for(infer, route, *cap);
    if (!part) {
        if (!grow_parts(infer, call->arena, cap)) return fail_memory(call);
        part = part_for(infer, route, *cap);
        if (infer->parts_count == 2) { /* until here all rows were of one part */
            size_t count = infer->request.rows_count;
            infer->places = ig_arena_array(call->arena, count, sizeof *infer->places);
            if (!infer->places) return fail_memory(call);
            for (size_t i = 0; i < row; i++) infer->places[i].row = (uint32_t)i;
        }
    }
    if (infer->places)
        infer->places[row] = (struct ig_infer_place){(uint32_t)(part - infer->parts),
                                                     (uint32_t)part->inference.rows_count};
    part->inference.rows_count++;
    return IG_OK;
}

/* The rows of a part, as its model reads them. */
static enum ig_code gather(struct ig_call *call, struct ig_infer *infer, size_t index)
{
    struct ig_infer_part *part = &infer->parts[index];
    const struct ig_feature_map *map = ig_routing_map(infer->routing, part->route.node);
    uint32_t width = infer->request.schema->features_count;
    const double *from = infer->request.rows;
    size_t count = part->inference.rows_count;
    if (infer->places) {
        double *rows = ig_arena_alloc(call->arena, count * width * sizeof *rows);
        part->rows = ig_arena_array(call->arena, count, sizeof *part->rows);
        if (!rows || !part->rows) return fail_memory(call);
        for (size_t i = 0; i < infer->request.rows_count; i++) {
            if (infer->places[i].part != index) continue;
            memcpy(rows + (size_t)infer->places[i].row * width, from + i * width,
                   width * sizeof *rows);
            part->rows[infer->places[i].row] = i;
        }
        from = rows;
    }
    part->asked_rows = from;
    if (!ig_feature_map_is_identity(map)) {
        double *mapped = ig_arena_alloc(call->arena, count * width * sizeof *mapped);
        if (!mapped) return fail_memory(call);
        ig_feature_map_rows(map, from, count, width, mapped);
        from = mapped;
    }
    part->inference.rows = from;
    return IG_OK;
}

enum ig_code ig_infer_route(struct ig_call *call, struct ig_infer *infer)
{
    const struct ig_routing *routing = infer->routing;
    uint32_t width = infer->request.schema->features_count;
    struct ig_routing_input input = {.row = infer->request.rows,
                                     .attributes = infer->request.attributes,
                                     .tenant = ig_str_view(call->who.name),
                                     .header = find_header,
                                     .context = call,
                                     .version = infer->version};
    if (routing->spec.nodes_count > 1) input.unit = unit_of(call, infer);
    struct ig_routing_path route;
    size_t cap = 0;
    for (size_t i = 0; i < infer->request.rows_count; i++, input.row += width) {
        ig_routing_route(&route, routing, &input);
        if (routing->single) { /* all go the same way */
            if (place_row(call, infer, 0, &route, &cap) != IG_OK) return call->err.code;
            infer->parts[0].inference.rows_count = infer->request.rows_count;
            break;
        }
        if (place_row(call, infer, i, &route, &cap) != IG_OK) return call->err.code;
    }
    for (size_t i = 0; i < infer->parts_count; i++)
        if (gather(call, infer, i) != IG_OK) return call->err.code;
    return IG_OK;
}

const struct ig_infer_part *ig_infer_part_of(const struct ig_infer *infer, size_t row)
{
    return &infer->parts[infer->places ? infer->places[row].part : 0];
}

/* ---- what is told of it ---- */

void ig_infer_write_route(struct ig_json_out *out, struct ig_call *call,
                          const struct ig_infer_part *part)
{
    const struct ig_infer *infer = call->state;
    const struct ig_routing *routing = infer->routing;
    if (routing->spec.nodes_count == 1) return;
    ig_json_out_key(out, IG_STR("route"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "path", ig_routing_path_text(routing, &part->route, call->arena));
    ig_json_out_kv_str(out, "node", routing->spec.nodes[part->route.node].name);
    ig_json_out_kv_i64(out, "revision", routing->revision);
    ig_json_out_object_end(out);
}

static void write_version(struct ig_json_out *out, const struct ig_servable *servable)
{
    if (servable->members_count) {
        ig_json_out_kv_str(out, "name", ig_str_view(servable->node));
        ig_json_out_kv_str(out, "ensemble", ig_str_view(ig_combine_name(servable->combine)));
    } else {
        ig_json_out_kv_str(out, "name", ig_str_view(servable->model));
        ig_json_out_kv_i64(out, "version", servable->version);
    }
    ig_json_out_kv_str(out, "digest", ig_str_view(servable->digest));
}

void ig_infer_write_model(struct ig_json_out *out, const struct ig_servable *servable)
{
    ig_json_out_object(out);
    write_version(out, servable);
    if (servable->members_count) {
        ig_json_out_key(out, IG_STR("members"));
        ig_json_out_array(out);
        for (size_t i = 0; i < servable->members_count; i++) {
            ig_json_out_object(out);
            write_version(out, servable->members[i].servable);
            ig_json_out_kv_f64(out, "weight", servable->members[i].weight);
            ig_json_out_object_end(out);
        }
        ig_json_out_array_end(out);
    }
    ig_json_out_object_end(out);
}

enum { SKIPPED_MAX_BYTES = 4096, SKIPPED_NAME_MAX_BYTES = IG_NAME_SIZE + 24 };

static void add_skipped(struct ig_buf *out, const struct ig_infer_part *part)
{
    const struct ig_inference_result *result = &part->result;
    const struct ig_servable *servable = part->servable;
    uint32_t any = 0;
    for (size_t i = 0; result->skipped && i < result->rows_count; i++) any |= result->skipped[i];
    for (size_t i = 0; i < servable->members_count; i++) {
        const struct ig_servable *member = servable->members[i].servable;
        if (!(any >> i & 1) || out->len > SKIPPED_MAX_BYTES) continue;
        ig_buf_printf(out, "%s%s", out->len ? ", " : "", ig_servable_name(member));
        if (!member->members_count) ig_buf_printf(out, "/%lld", (long long)member->version);
    }
}

void ig_infer_list_skipped(struct ig_buf *names, const struct ig_infer *infer)
{
    ig_buf_init(names, SKIPPED_MAX_BYTES + SKIPPED_NAME_MAX_BYTES);
    for (size_t i = 0; i < infer->parts_count; i++) add_skipped(names, &infer->parts[i]);
}

enum ig_code ig_infer_tell_skipped(struct ig_call *call, const struct ig_infer *infer)
{
    struct ig_buf names;
    if (infer->in_stream) return IG_OK;
    ig_infer_list_skipped(&names, infer);
    if (names.overflowed)
        ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
    else if (names.len)
        ig_exchange_header(call->exchange, "X-Skipped-Members", ig_buf_view(&names), &call->err);
    ig_buf_deinit(&names);
    return call->err.code;
}

static double mean_score(const struct ig_inference_result *result)
{
    double sum = 0;
    for (size_t i = 0; i < result->rows_count; i++) sum += ig_inference_score(result, i);
    return sum / (double)result->rows_count;
}

static void note_graph(struct ig_decision *decision, struct ig_call *call,
                       const struct ig_infer *infer, const struct ig_infer_part *part)
{
    static const unsigned char KEY[16];
    char arms[IG_DECISION_ARMS_SIZE];
    const struct ig_routing *routing = infer->routing;
    if (routing->spec.nodes_count == 1) return;
    struct ig_str unit = unit_of(call, infer);
    size_t length = ig_routing_path_arms(arms, sizeof arms, routing, &part->route);
    decision->unit = ig_siphash(KEY, unit.ptr, unit.len);
    if (length) decision->arms = ig_arena_dup(call->arena, (struct ig_str){arms, length});
}

static void note(struct ig_decision *decision, struct ig_call *call, const struct ig_infer *infer,
                 const struct ig_infer_part *part)
{
    const struct ig_inference_result *result = &part->result;
    const struct ig_servable *servable = part->servable;
    decision->rows = (uint32_t)part->inference.rows_count;
    decision->compute_ns = part->spent_ns;
    decision->before_ns = part->before_ns;
    decision->flags = infer->explain ? IG_DECISION_EXPLAINED : 0;
    decision->propensity = part->route.propensity;
    decision->version = servable->version;
    decision->revision = infer->routing->revision;
    decision->deployment = ig_arena_dup(call->arena, ig_str_view(infer->routing->name));
    decision->model = ig_arena_dup(
        call->arena, ig_str_view(servable->members_count ? servable->node : servable->model));
    note_graph(decision, call, infer, part);
    if (!result->rows_count) return; /* it failed */
    decision->value = mean_score(result);
    ig_sha256(part->inference.rows, result->rows_count * result->features_count * sizeof(double),
              decision->input_digest);
    ig_sha256(result->margins, result->rows_count * result->outputs_count * sizeof(double),
              decision->output_digest);
}

void ig_infer_note_decisions(struct ig_call *call, const struct ig_infer *infer)
{
    struct ig_decision *decisions =
        ig_arena_array(call->arena, infer->parts_count, sizeof *decisions);
    if (!decisions) return;
    for (size_t i = 0; i < infer->parts_count; i++)
        note(&decisions[i], call, infer, &infer->parts[i]);
    call->decisions = decisions;
    call->decisions_count = infer->parts_count;
}

void ig_infer_mirror(struct ig_call *call, const struct ig_infer *infer)
{
    for (size_t i = 0; i < infer->parts_count; i++) {
        const struct ig_infer_part *part = &infer->parts[i];
        size_t count = part->result.rows_count;
        if (part->route.mirror_node < 0 || !call->app->mirror) continue;
        double *scores = ig_arena_array(call->arena, count, sizeof *scores);
        int32_t *labels = ig_arena_array(call->arena, count, sizeof *labels);
        if (!scores || !labels) return;
        for (size_t row = 0; row < count; row++) {
            scores[row] = ig_inference_score(&part->result, row);
            labels[row] = ig_inference_class(part->servable, &part->result, row);
        }
        const struct ig_mirror_call own = {.routing = infer->routing,
                                           .node = (uint32_t)part->route.mirror_node,
                                           .rows = part->asked_rows,
                                           .scores = scores,
                                           .labels = labels,
                                           .rows_count = count,
                                           .primary_ns = part->spent_ns,
                                           .request_id = ig_str_view(call->request_id)};
        ig_mirror_call(call->app->mirror, &own);
    }
}
