/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_OIP_MODEL_H
#define IG_API_OIP_MODEL_H

/* Deployments as models of the Open Inference Protocol: tensors in and out, the one version, and
 * what a call asks for and gets. Shared by its HTTP and its gRPC front. */

#include "api/infer.h"
#include "api/oip.h"

/* Names of what is offered beyond the protocol, by place from 0; NULL behind the last. */
const char *ig_oip_extension(const struct ig_app *app, size_t at);

/* A tensor that goes in or out, without its rows. */
struct ig_oip_port {
    struct ig_str name;
    enum ig_oip_type type;
    int64_t extents[2];
    size_t rank;
};
/* One tensor of all features where all are numbers, else one each. */
size_t ig_oip_inputs_count(const struct ig_schema *schema);
struct ig_oip_port ig_oip_input(const struct ig_schema *schema, size_t index);

enum ig_oip_result {
    IG_OIP_PREDICTIONS,
    IG_OIP_LABELS,
    IG_OIP_MARGINS,
    IG_OIP_SHAP_VALUES,
    IG_OIP_BASE_VALUE,
    IG_OIP_RESULTS_COUNT
};
/* False: it gives none of that kind. */
bool ig_oip_output(struct ig_oip_port *out, const struct ig_servable *face,
                   enum ig_oip_result result);

/* "ingot", or Triton's words for what ONNX Runtime runs; an ensemble is Ingot's own, whatever is in
 * it. */
struct ig_str ig_oip_platform(const struct ig_routing *routing);
struct ig_str ig_oip_backend(const struct ig_routing *routing);
/* Of what the graph leads to by default. */
int64_t ig_oip_version(const struct ig_routing *routing);
/* All that answer requests which name them, the default first; at most `max`. */
size_t ig_oip_versions(int64_t *out, size_t max, const struct ig_routing *routing);
/* Of what answered. */
int64_t ig_oip_answered(const struct ig_infer *infer);
/* The deployment, in the version asked for (empty: any). NULL with call->err. Loop-safe. */
const struct ig_routing *ig_oip_find(struct ig_call *call, struct ig_str name,
                                     struct ig_str version);
/* NOT_FOUND unless it answers requests for that version, or none is named. */
enum ig_code ig_oip_check_version(struct ig_call *call, const struct ig_routing *routing,
                                  struct ig_str version);
/* Whether a parameter of a request to load is a configuration or a file of its own, which
 * ig_oip_fail_load refuses. */
bool ig_oip_brings_model(struct ig_str parameter);
enum ig_code ig_oip_fail_load(struct ig_str parameter, struct ig_err *err);
/* UNSUPPORTED where a repository is named. */
enum ig_code ig_oip_check_repository(struct ig_str name, struct ig_err *err);
/* A request to load over HTTP: its body. */
enum ig_code ig_oip_read_load(struct ig_call *call);
/* Pauses or resumes it, as unloading and loading a model; on a worker. */
enum ig_code ig_oip_set_loaded(struct ig_call *call, struct ig_str name, bool loaded);

struct ig_grpc_call;
struct ig_oip_classes;

/* infer->front of both fronts. */
struct ig_oip_ask {
    struct ig_oip_request request;
    struct ig_str version;     /* asked for, or empty */
    struct ig_grpc_call *grpc; /* of the gRPC front, else NULL */
    bool sagemaker;            /* the media types are SageMaker's */
    struct ig_oip_given {
        enum ig_oip_result result;
        const struct ig_oip_output *asked; /* NULL: not by name */
        struct ig_oip_classes *classes;    /* in its place; NULL: itself */
    } given[IG_OIP_OUTPUTS_MAX];
    size_t given_count;
};
/* A call of SageMaker's: how much of the bodies is JSON stands in their media types. */
enum ig_code ig_oip_infer_sagemaker(struct ig_call *call, struct ig_str model);
/* For infer->decode, once the request is read: finds the deployment, chooses what to give, takes
 * what is in shared memory, fills the rows. */
enum ig_code ig_oip_prepare(struct ig_call *call, struct ig_infer *infer);
/* For infer->encode: INVALID when explanations were asked for that the model has not. */
enum ig_code ig_oip_check(struct ig_call *call, const struct ig_infer *infer);
/* What is given of an output, without its rows. */
struct ig_oip_port ig_oip_given_port(const struct ig_oip_given *given,
                                     const struct ig_servable *face);
/* Its elements, into an open JSON array, as binary data, or as texts with commas between. */
void ig_oip_write_json(struct ig_json_out *out, struct ig_infer *infer,
                       const struct ig_oip_given *given);
void ig_oip_write_raw(struct ig_buf *out, struct ig_infer *infer, const struct ig_oip_given *given);
void ig_oip_write_plain(struct ig_buf *out, struct ig_infer *infer,
                        const struct ig_oip_given *given);

#endif
