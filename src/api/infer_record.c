/* SPDX-License-Identifier: Apache-2.0 */
#include "api/infer_record.h"

#include <string.h>

enum ig_code ig_result_digest_begin(struct ig_result_digest *digest, struct ig_err *err)
{
    digest->hash = ig_sha256_new();
    return digest->hash ? IG_OK : ig_fail(err, IG_NO_MEMORY, "digest of an explanation");
}

enum ig_code ig_result_digest_add(struct ig_result_digest *digest,
                                  const struct ig_explanations *explanations,
                                  const struct ig_model *model, struct ig_err *err)
{
    for (size_t i = 0; i < explanations->rows_count; i++) {
        unsigned char row[IG_SHA256_BYTES];
        if (!ig_explanations_digest(row, explanations, i, model))
            return ig_fail(err, IG_NO_MEMORY, "digest of an explanation");
        ig_sha256_update(digest->hash, row, sizeof row);
    }
    return IG_OK;
}

void ig_result_digest_end(char hex[IG_SHA256_HEX], struct ig_result_digest *digest)
{
    unsigned char all[IG_SHA256_BYTES] = {0};
    if (digest->hash) ig_sha256_final(digest->hash, all);
    ig_sha256_free(digest->hash);
    ig_hex(hex, all, sizeof all);
}

static enum ig_code find_digests(char input[IG_SHA256_HEX], char result[IG_SHA256_HEX],
                                 const struct ig_infer_part *part, struct ig_err *err)
{
    const struct ig_model *model = part->servable->package->model;
    const struct ig_explanations *explanations = &part->result.explanations;
    size_t bytes = explanations->rows_count * model->features_count * sizeof(double);
    struct ig_result_digest digest;
    ig_sha256_hex(part->inference.rows, bytes, input);
    if (ig_result_digest_begin(&digest, err) == IG_OK)
        ig_result_digest_add(&digest, explanations, model, err);
    ig_result_digest_end(result, &digest);
    return err->code;
}

/* Whether a deadline decided how much some row was sampled. */
static bool was_cut(const struct ig_explanations *explanations)
{
    for (size_t i = 0; i < explanations->rows_count; i++)
        if (strcmp(explanations->notes[i].stopped, "budget_us") == 0) return true;
    return false;
}

static void write_notes(struct ig_json_out *out, const struct ig_explanations *explanations)
{
    ig_json_out_key(out, IG_STR("seed"));
    ig_json_out_u64(out, explanations->notes[0].seed);
    if (!was_cut(explanations)) return;
    ig_json_out_key(out, IG_STR("samples"));
    ig_json_out_array(out);
    for (size_t i = 0; i < explanations->rows_count; i++)
        ig_json_out_i64(out, (int64_t)explanations->notes[i].samples);
    ig_json_out_array_end(out);
}

/* What a part of a graph was. */
static void write_graph(struct ig_json_out *out, const struct ig_infer *infer,
                        const struct ig_infer_part *part)
{
    const struct ig_routing *routing = infer->routing;
    const struct ig_routing_spec *spec = &routing->spec;
    if (spec->nodes_count == 1) return;
    ig_json_out_key(out, IG_STR("graph"));
    ig_routing_spec_write(out, spec);
    ig_json_out_kv_str(out, "node", spec->nodes[part->route.node].name);
    ig_json_out_key(out, IG_STR("packages"));
    ig_json_out_object(out);
    for (uint32_t i = 0; i < spec->nodes_count; i++) {
        if (spec->nodes[i].kind != IG_ROUTING_MODEL) continue;
        ig_json_out_key(out, spec->nodes[i].name);
        ig_json_out_str(out, ig_str_view(ig_routing_servable(routing, i)->digest));
    }
    ig_json_out_object_end(out);
    if (!part->rows) return;
    ig_json_out_key(out, IG_STR("places"));
    ig_json_out_array(out);
    for (size_t i = 0; i < part->inference.rows_count; i++)
        ig_json_out_i64(out, (int64_t)part->rows[i]);
    ig_json_out_array_end(out);
}

enum ig_code ig_infer_record_write(struct ig_buf *buf, const struct ig_call *call,
                                   const struct ig_infer *infer, const struct ig_infer_part *part,
                                   struct ig_err *err)
{
    const struct ig_servable *servable = part->servable;
    const struct ig_explanations *explanations = &part->result.explanations;
    const struct ig_explain_choice *choice = part->result.choice;
    enum ig_explainer method = choice ? choice->method : IG_EXPLAINER_TREE_PATH_DEPENDENT;
    char input[IG_SHA256_HEX], result[IG_SHA256_HEX];
    struct ig_json_out out;
    if (find_digests(input, result, part, err) != IG_OK) return err->code;
    ig_json_out_init(&out, buf);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "engine_version", IG_STR(INGOT_VERSION));
    ig_json_out_kv_str(&out, "front", infer->model.len ? IG_STR("kserve") : IG_STR("ingot"));
    ig_json_out_kv_str(&out, "request_id", ig_str_view(call->request_id));
    ig_json_out_kv_str(&out, "principal", ig_str_view(call->who.id));
    ig_json_out_kv_str(&out, "model", ig_str_view(servable->model));
    ig_json_out_kv_i64(&out, "version", servable->version);
    ig_json_out_kv_str(&out, "package_digest", ig_str_view(servable->digest));
    ig_json_out_kv_str(&out, "model_digest", ig_str_view(servable->model_digest));
    ig_json_out_kv_str(&out, "method", ig_str_view(ig_explainer_name(method)));
    ig_json_out_kv_str(&out, "background_digest", ig_str_view(choice ? choice->background : ""));
    ig_json_out_kv_i64(&out, "rows", (int64_t)explanations->rows_count);
    write_notes(&out, explanations);
    write_graph(&out, infer, part);
    ig_json_out_kv_str(&out, "input_digest", ig_str_view(input));
    ig_json_out_kv_str(&out, "result_digest", ig_str_view(result));
    ig_json_out_kv_str(&out, "request", call->exchange->body);
    ig_json_out_object_end(&out);
    return IG_OK;
}
