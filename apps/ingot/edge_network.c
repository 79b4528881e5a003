/* SPDX-License-Identifier: Apache-2.0 */
/* Networks for `ingot edge`, from TensorFlow Lite files and from ONNX graphs. */
#include "edge_network.h"

#include "formats/onnx/onnx.h"
#include "model/network.h"

enum ig_code ig_edge_network_open(struct ig_edge_network *out, const struct ig_package *package,
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
    *out = (struct ig_edge_network){made.network, made.features, made.network};
    return IG_OK;
}

void ig_edge_network_deinit(struct ig_edge_network *network)
{
    ig_network_free(network->made);
}
