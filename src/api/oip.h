/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_OIP_H
#define IG_API_OIP_H

/* Requests of the Open Inference Protocol (KServe V2, Triton) over HTTP: JSON, with tensors in it
 * or as raw bytes behind it (the binary tensor data extension), into rows of doubles.
 *
 * A request gives either one tensor of all features, [rows, features] or [features], under any
 * name, or one tensor a feature, [rows] or [rows, 1], under its name; a feature that is not given
 * is missing. BYTES hold texts, read as the cells of a CSV file are. */

#include "base/json.h"
#include "formats/schema.h"
#include "services/deploy/regions.h"

enum ig_oip_type {
#define IG_OIP_TYPE(id, name, bytes, config) IG_OIP_##id,
#include "api/oip_types.def"
#undef IG_OIP_TYPE
    IG_OIP_TYPES_COUNT
};
const char *ig_oip_type_name(enum ig_oip_type type);
const char *ig_oip_type_config(enum ig_oip_type type);

enum {
    IG_OIP_RANK_MAX = 8,
    IG_OIP_INPUTS_MAX = 4096,
    IG_OIP_OUTPUTS_MAX = 16,
    IG_OIP_ELEMENTS_MAX = 16 << 20, /* of a tensor */
};

struct ig_oip_tensor {
    struct ig_str name;
    enum ig_oip_type type;
    int64_t shape[IG_OIP_RANK_MAX];
    uint32_t rank;
    size_t count;                 /* elements */
    double *numbers;              /* of every type but BYTES; integers beyond 2^53 are rounded */
    struct ig_str *texts;         /* of BYTES */
    struct ig_region_part memory; /* where the elements are; region.ptr NULL: they came along */
};

enum ig_code ig_oip_type_parse(enum ig_oip_type *out, struct ig_str name, struct ig_err *err);
/* One more dimension of the shape. */
enum ig_code ig_oip_tensor_extend(struct ig_oip_tensor *tensor, int64_t extent, struct ig_err *err);
/* Whether a number of a wider type is one of this; rounded to it. False for FP16 and BF16, which
 * are given as bytes alone. */
bool ig_oip_number_fit(double *number, enum ig_oip_type type);
/* The elements from their little-endian bytes; type and shape are known. */
enum ig_code ig_oip_tensor_take(struct ig_oip_tensor *tensor, struct ig_str bytes,
                                struct ig_arena *arena, struct ig_err *err);

struct ig_oip_output {
    struct ig_str name;
    bool binary;
    uint32_t classes;             /* so many classes by score in its place; 0: itself */
    struct ig_region_part memory; /* where to put it; region.ptr NULL: into the reply */
};

struct ig_oip_request {
    struct ig_str id; /* ptr NULL: not given */
    struct ig_oip_tensor *inputs;
    size_t inputs_count;
    struct ig_oip_output outputs[IG_OIP_OUTPUTS_MAX];
    size_t outputs_count;  /* 0: what the model gives without being asked */
    bool binary;           /* outputs that do not say otherwise are binary */
    bool explain;          /* parameter "explain": explanations too */
    struct ig_str unit_id; /* parameter "unit_id"; ptr NULL: not given */
};

/* The parameter "classification"; INVALID when it is no number of classes. */
enum ig_code ig_oip_classes_take(uint32_t *out, uint64_t classes, struct ig_err *err);
/* INVALID for the names of parameters that Triton keeps for itself, but the one that clients send:
 * whether a stream ends by an empty answer. */
enum ig_code ig_oip_check_parameter(struct ig_str key, struct ig_err *err);
/* INVALID when what is asked of an output excludes itself. */
enum ig_code ig_oip_output_check(const struct ig_oip_output *output, struct ig_err *err);

enum { IG_OIP_ALL_JSON = -1 };

/* `json_bytes` is the header Inference-Header-Content-Length: how much of the body is JSON; 0: the
 * whole body is one FP64 tensor of one row. INVALID and PARSE name the input; texts are views of
 * the body or lie in the arena. */
enum ig_code ig_oip_request_read(struct ig_oip_request *out, struct ig_str body, int64_t json_bytes,
                                 struct ig_arena *arena, struct ig_err *err);
/* The bytes that a request's inputs have in shared memory; their elements are still to be taken. */
uint64_t ig_oip_memory_bytes(const struct ig_oip_request *request);
/* The rows that a request gives, in the arena; every tensor has its elements. INVALID, or TOO_LARGE
 * above rows_max. */
struct ig_oip_rows {
    double *rows; /* rows_count x features_count */
    size_t rows_count;
};
enum ig_code ig_oip_rows(struct ig_oip_rows *out, const struct ig_oip_request *request,
                         const struct ig_schema *schema, size_t rows_max, struct ig_arena *arena,
                         struct ig_err *err);

#endif
