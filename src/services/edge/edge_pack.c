/* SPDX-License-Identifier: Apache-2.0 */
/* Trees become compact as they are, networks from TensorFlow Lite files and from ONNX graphs.
 * Stateless. */
#include "services/edge/edge_pack.h"

#include "formats/onnx/onnx.h"
#include "model/network.h"

static const size_t MEMORY_MAX = (size_t)8 << 30;

enum ig_code ig_edge_source_open(struct ig_edge_source *out, const struct ig_package *package,
                                 struct ig_err *err)
{
    const struct ig_model *model = package->model;
    struct ig_onnx_network made;
    if (model->kind == IG_MODEL_NETWORK) {
        out->network = model->network;
        return IG_OK;
    }
    if (model->kind == IG_MODEL_FOREIGN)
        return ig_fail(err, IG_UNSUPPORTED,
                       "ONNX Runtime runs the model (%.*s), so it is not read as a network",
                       IG_STR_ARGS(package->runtime_reason));
    if (model->kind != IG_MODEL_GRAPH)
        return ig_fail(err, IG_UNSUPPORTED,
                       "the model is no network; trees are packed by edge convert");
    if (ig_onnx_network(&made, model->graph, err) != IG_OK) return err->code;
    *out = (struct ig_edge_source){made.network, made.features, made.network};
    return IG_OK;
}

void ig_edge_source_deinit(struct ig_edge_source *source)
{
    ig_network_free(source->made);
}

/* ---- choices ---- */

static enum ig_code parse_word(int *out, const char *name, struct ig_str word,
                               const char *const *words, struct ig_err *err)
{
    struct ig_buf known;
    for (int i = 0; words[i]; i++) {
        if (!ig_str_is(word, words[i])) continue;
        *out = i;
        return IG_OK;
    }
    if (!word.len) return IG_OK;
    ig_buf_init(&known, 128);
    for (int i = 0; words[i]; i++) ig_buf_printf(&known, "%s%s", i ? ", " : "", words[i]);
    ig_fail(err, IG_INVALID, "%s: '%.*s' is not one of %.*s", name,
            word.len > 40 ? 40 : (int)word.len, word.ptr, IG_STR_ARGS(ig_buf_view(&known)));
    ig_buf_deinit(&known);
    return err->code;
}

enum ig_code ig_edge_choice_parse(struct ig_edge_choice *out, struct ig_str leaves,
                                  struct ig_str rounding, struct ig_err *err)
{
    static const char *const LEAVES[] = {"exact", "float32", "int16", "int8", NULL};
    static const char *const ROUNDINGS[] = {"model", "single", "double", NULL};
    int want = IG_COMPACT_WANT_INT16, rounds = IG_EDGE_ROUNDING_MODEL;
    if (parse_word(&want, "leaves", leaves, LEAVES, err) != IG_OK ||
        parse_word(&rounds, "rounding", rounding, ROUNDINGS, err) != IG_OK)
        return err->code;
    *out = (struct ig_edge_choice){(enum ig_compact_want)want, (enum ig_edge_rounding)rounds};
    return IG_OK;
}

/* ---- packing ---- */

static enum ig_code pack_network(struct ig_edge_pack *pack, enum ig_edge_rounding rounding,
                                 struct ig_err *err)
{
    const struct ig_network *network = pack->source.network;
    if (rounding != IG_EDGE_ROUNDING_MODEL) {
        pack->copy = ig_network_dup(network, MEMORY_MAX);
        if (!pack->copy) return ig_fail(err, IG_NO_MEMORY, "no memory for the network");
        pack->copy->rounding = rounding == IG_EDGE_ROUNDING_DOUBLE ? IG_NETWORK_ROUNDING_DOUBLE
                                                                   : IG_NETWORK_ROUNDING_SINGLE;
        network = pack->copy;
    }
    if (ig_network_compact_new(&pack->network, network, err) != IG_OK) return err->code;
    pack->network->encoder = pack->encoder;
    return IG_OK;
}

enum ig_code ig_edge_pack_init(struct ig_edge_pack *pack, const struct ig_package *package,
                               const struct ig_edge_choice *choice, struct ig_err *err)
{
    enum ig_model_kind kind = package->model->kind;
    *pack = (struct ig_edge_pack){0};
    if (kind != IG_MODEL_NETWORK && kind != IG_MODEL_GRAPH)
        return ig_tree_compact_new(&pack->trees, package->model, choice->leaves, err);
    if (ig_edge_source_open(&pack->source, package, err) != IG_OK) return err->code;
    pack->encoder = package->model->encoder;
    return pack_network(pack, choice->rounding, err);
}

void ig_edge_pack_deinit(struct ig_edge_pack *pack)
{
    ig_tree_compact_free(pack->trees);
    ig_network_compact_free(pack->network);
    ig_network_free(pack->copy);
    ig_edge_source_deinit(&pack->source);
}

enum ig_code ig_edge_pack_write(struct ig_buf *out, const struct ig_edge_pack *pack,
                                struct ig_err *err)
{
    return pack->network ? ig_edge_write_network(out, pack->network, err)
                         : ig_edge_write(out, pack->trees, err);
}

enum ig_code ig_edge_pack_bundle(struct ig_buf *out, const struct ig_package *package,
                                 const struct ig_edge_choice *choice, struct ig_edge_bundle bundle,
                                 struct ig_err *err)
{
    struct ig_edge_pack pack;
    if (ig_edge_pack_init(&pack, package, choice, err) == IG_OK) {
        bundle.compact = pack.trees;
        bundle.network = pack.network;
        ig_edge_bundle_write(out, &bundle, err);
    }
    ig_edge_pack_deinit(&pack);
    return err->code;
}
