/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_GRAPH_PROGRAM_PRIV_H
#define IG_KERNELS_GRAPH_PROGRAM_PRIV_H

/* What the parts of the graph program share. An operator is a function that plans one node: it
 * checks the inputs, gives the outputs type and shape, and sets the step's run function and state.
 * Planning fails by prog_refuse, which names node and operator. Thread rule: planning is one
 * thread's; a step is immutable afterwards. */

#include "base/mem.h"
#include "kernels/graph/program.h"

struct prog_tensor {
    enum ig_tensor_type type; /* NONE: not planned yet */
    uint32_t rank;
    int64_t dims[IG_GRAPH_RANK_MAX];
    size_t count;
    uint32_t index;       /* of the value */
    const void *constant; /* elements when known at load, else NULL */
    size_t offset;        /* of the elements within the scratch, when not constant nor input */
};

/* Where the values of one run lie. */
struct prog_frame {
    void **values; /* by index */
    void *scratch; /* the step's own, 64-byte aligned */
};

struct prog_step {
    const struct ig_graph_node *node;
    struct prog_tensor **in; /* NULL where an optional one is left out */
    struct prog_tensor **out;
    uint32_t in_count, out_count;
    void (*run)(const struct prog_step *step, const struct prog_frame *frame);
    const void *state;
    size_t scratch_bytes;
    /* Where outputs have as many slices along their first axis as every input that is no constant,
     * slice i of an output comes of slices i of those inputs alone. False: unknown. */
    bool apart;
    bool known; /* the outputs do not depend on the inputs' elements */
};

struct ig_program {
    struct ig_arena arena;
    const struct ig_graph *graph;
    struct prog_tensor *tensors; /* by value */
    struct prog_step *steps;
    uint32_t steps_count;
    struct ig_program_port *inputs, *outputs;
    size_t tensors_bytes;     /* scratch for tensors */
    size_t step_bytes;        /* scratch for the neediest step */
    uint32_t values_port;     /* output that the predictor gives */
    struct ig_program *block; /* the same for PROG_BLOCK rows at once, or NULL */
};

enum { PROG_BLOCK = 8 };

struct prog_plan {
    const struct ig_graph *graph;
    struct ig_arena *arena;
    struct ig_err *err;
    struct prog_step *step; /* in hand */
    int64_t opset;          /* of the node's domain */
};

typedef bool prog_plan_fn(struct prog_plan *plan);
#define IG_OP(domain, name, function, doc) prog_plan_fn function;
#include "kernels/graph/ops.def"
#undef IG_OP

/* False always. */
bool prog_refuse(struct prog_plan *plan, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool prog_no_memory(struct prog_plan *plan);
/* The input or output, NULL when it is left out. */
struct prog_tensor *prog_in(const struct prog_plan *plan, uint32_t index);
struct prog_tensor *prog_out(const struct prog_plan *plan, uint32_t index);
/* The input, which must be there (and be of the type unless NONE). NULL after refusing. */
struct prog_tensor *prog_need(struct prog_plan *plan, uint32_t index, enum ig_tensor_type type);
/* Sets type and shape of an output; left-out outputs are fine. */
bool prog_shape(struct prog_plan *plan, struct prog_tensor *out, enum ig_tensor_type type,
                const int64_t *dims, uint32_t rank);
bool prog_shape_like(struct prog_plan *plan, struct prog_tensor *out, enum ig_tensor_type type,
                     const struct prog_tensor *like);
/* Zeroed state of the step; NULL after refusing. */
void *prog_state(struct prog_plan *plan, size_t size_bytes);
/* An attribute's axis or an index made non-negative; false after refusing. */
bool prog_axis(struct prog_plan *plan, int64_t axis, uint32_t rank, uint32_t *out);
/* int64 list from constant input `index` or, when that is left out, from the attribute; count 0
 * when neither is there. False after refusing. */
bool prog_integers(struct prog_plan *plan, uint32_t index, const char *name, const int64_t **list,
                   size_t *count);
/* Rows and columns of a matrix-like input of ai.onnx.ml operators: [n, c] or [c]. */
bool prog_matrix(struct prog_plan *plan, const struct prog_tensor *in, int64_t *rows,
                 int64_t *columns);
bool prog_is(const struct prog_plan *plan, const char *op);
bool prog_numeric(enum ig_tensor_type type);

static inline void *prog_data(const struct prog_frame *frame, const struct prog_tensor *tensor)
{
    return frame->values[tensor->index];
}

/* NULL for an input or output that is left out. */
static inline void *prog_optional(const struct prog_frame *frame, struct prog_tensor *const *list,
                                  uint32_t count, uint32_t index)
{
    return index < count && list[index] ? frame->values[list[index]->index] : NULL;
}

/* Reads a tensor's elements as float into `out`. */
void prog_floats(float *out, const void *data, enum ig_tensor_type type, size_t count);

/* ai.onnx.ml scores. */
enum prog_transform {
    PROG_NONE,
    PROG_SOFTMAX,
    PROG_LOGISTIC,
    PROG_SOFTMAX_ZERO,
    PROG_PROBIT,
};
bool prog_transform(struct prog_plan *plan, enum prog_transform *out);
/* In place, as ONNX Runtime's write_scores. */
void prog_scores(enum prog_transform transform, float *scores, size_t count);
float prog_logistic(float value);
float prog_probit(float value);

/* Labels of a classifier's first output. */
struct prog_labels {
    const int64_t *numbers;
    const struct ig_str *texts;
    size_t count;
};
bool prog_labels(struct prog_plan *plan, const char *numbers, const char *texts,
                 struct prog_labels *out);
void prog_label_set(const struct prog_labels *labels, void *out, size_t row, size_t label);

#endif
