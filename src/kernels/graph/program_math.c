/* SPDX-License-Identifier: Apache-2.0 */
/* Gemm and MatMul on float32. Every output is a sum in double over the shared index in
 * ascending order, rounded once: the same on any instruction set and at any batch. Source: ONNX
 * operators. */
#include "kernels/graph/program_priv.h"

#include <string.h>

enum { TILE = 16 };

/* out[columns] = sum over k of left[k * left_stride] * right[k][columns], in tiles of columns. */
struct product {
    const float *left;
    size_t left_stride;
    const float *right;
    size_t right_stride, right_step; /* between rows (k) and between columns */
    size_t depth, columns;
};

static void multiply_tile(const struct product *product, size_t first, size_t count, double *sums)
{
    for (size_t j = 0; j < TILE; j++) sums[j] = 0;
    for (size_t k = 0; count == TILE && product->right_step == 1 && k < product->depth; k++) {
        double left = (double)product->left[k * product->left_stride];
        const float *right = product->right + k * product->right_stride + first;
        for (size_t j = 0; j < TILE; j++) sums[j] += left * (double)right[j];
    }
    if (count == TILE && product->right_step == 1) return;
    for (size_t k = 0; k < product->depth; k++) {
        double left = (double)product->left[k * product->left_stride];
        const float *right = product->right + k * product->right_stride;
        for (size_t j = 0; j < count; j++)
            sums[j] += left * (double)right[(first + j) * product->right_step];
    }
}

struct gemm {
    const float *right; /* B as [depth, columns] where it is constant and given the other way */
    size_t rows, columns, depth;
    bool left_transposed, right_transposed;
    float alpha, beta;
    size_t bias_row_stride, bias_column_stride;
};

static void run_gemm(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct gemm *gemm = step->state;
    const float *left = prog_data(frame, step->in[0]);
    const float *right = gemm->right ? gemm->right : prog_data(frame, step->in[1]);
    const float *bias = prog_optional(frame, step->in, step->in_count, 2);
    float *out = prog_data(frame, step->out[0]);
    struct product product = {.left_stride = gemm->left_transposed ? gemm->rows : 1,
                              .right = right,
                              .right_stride = gemm->right_transposed ? 1 : gemm->columns,
                              .right_step = gemm->right_transposed ? gemm->depth : 1,
                              .depth = gemm->depth,
                              .columns = gemm->columns};
    double sums[TILE];
    for (size_t i = 0; i < gemm->rows; i++) {
        product.left = left + (gemm->left_transposed ? i : i * gemm->depth);
        for (size_t first = 0; first < gemm->columns; first += TILE) {
            size_t count = gemm->columns - first < TILE ? gemm->columns - first : TILE;
            multiply_tile(&product, first, count, sums);
            for (size_t j = 0; j < count; j++) {
                double sum = sums[j] * (double)gemm->alpha;
                if (bias)
                    sum +=
                        (double)gemm->beta * (double)bias[i * gemm->bias_row_stride +
                                                          (first + j) * gemm->bias_column_stride];
                out[i * gemm->columns + first + j] = (float)sum;
            }
        }
    }
}

static bool gemm_bias(struct prog_plan *plan, struct gemm *gemm)
{
    const struct prog_tensor *bias = prog_in(plan, 2);
    if (!bias) return true;
    if (!prog_need(plan, 2, IG_TENSOR_F32)) return false;
    int64_t rows = bias->rank == 2 ? bias->dims[0] : 1;
    int64_t columns = bias->rank > 0 ? bias->dims[bias->rank - 1] : 1;
    if (bias->rank > 2 || (rows != 1 && (size_t)rows != gemm->rows) ||
        (columns != 1 && (size_t)columns != gemm->columns))
        return prog_refuse(plan, "input C does not fit the product");
    gemm->bias_column_stride = columns == 1 ? 0 : 1;
    gemm->bias_row_stride = rows == 1 ? 0 : (size_t)columns;
    return true;
}

static bool turn_right(struct prog_plan *plan, struct gemm *gemm, const float *from)
{
    float *to = ig_arena_array(plan->arena, gemm->depth * gemm->columns + 1, sizeof *to);
    if (!to) return prog_no_memory(plan);
    for (size_t j = 0; j < gemm->columns; j++)
        for (size_t k = 0; k < gemm->depth; k++)
            to[k * gemm->columns + j] = from[j * gemm->depth + k];
    gemm->right = to;
    gemm->right_transposed = false;
    return true;
}

bool prog_plan_gemm(struct prog_plan *plan)
{
    const struct prog_tensor *a = prog_need(plan, 0, IG_TENSOR_F32);
    const struct prog_tensor *b = a ? prog_need(plan, 1, IG_TENSOR_F32) : NULL;
    struct gemm *gemm = b ? prog_state(plan, sizeof *gemm) : NULL;
    if (!gemm) return false;
    const struct ig_graph_node *node = plan->step->node;
    if (a->rank != 2 || b->rank != 2) return prog_refuse(plan, "A and B must be matrices");
    *gemm = (struct gemm){.left_transposed = ig_graph_i64(node, "transA", 0) != 0,
                          .right_transposed = ig_graph_i64(node, "transB", 0) != 0,
                          .alpha = ig_graph_f32(node, "alpha", 1),
                          .beta = ig_graph_f32(node, "beta", 1)};
    int64_t rows = a->dims[gemm->left_transposed ? 1 : 0];
    int64_t depth = a->dims[gemm->left_transposed ? 0 : 1];
    int64_t columns = b->dims[gemm->right_transposed ? 0 : 1];
    if (depth != b->dims[gemm->right_transposed ? 1 : 0])
        return prog_refuse(plan, "A has %lld columns, B another number of rows", (long long)depth);
    gemm->rows = (size_t)rows;
    gemm->depth = (size_t)depth;
    gemm->columns = (size_t)columns;
    plan->step->run = run_gemm;
    if (gemm->right_transposed && b->constant && !turn_right(plan, gemm, b->constant)) return false;
    return gemm_bias(plan, gemm) &&
           prog_shape(plan, prog_out(plan, 0), IG_TENSOR_F32, (int64_t[]){rows, columns}, 2);
}

struct matmul {
    size_t rows, columns, depth, batches;
    uint32_t rank; /* of the batch dimensions */
    int64_t dims[IG_GRAPH_RANK_MAX];
    size_t strides[2][IG_GRAPH_RANK_MAX];
};

static void multiply(const struct matmul *matmul, const float *left, const float *right, float *out)
{
    struct product product = {.left_stride = 1,
                              .right = right,
                              .right_stride = matmul->columns,
                              .right_step = 1,
                              .depth = matmul->depth,
                              .columns = matmul->columns};
    double sums[TILE];
    for (size_t i = 0; i < matmul->rows; i++) {
        product.left = left + i * matmul->depth;
        for (size_t first = 0; first < matmul->columns; first += TILE) {
            size_t count = matmul->columns - first < TILE ? matmul->columns - first : TILE;
            multiply_tile(&product, first, count, sums);
            for (size_t j = 0; j < count; j++)
                out[i * matmul->columns + first + j] = (float)sums[j];
        }
    }
}

static void run_matmul(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct matmul *matmul = step->state;
    const float *left = prog_data(frame, step->in[0]);
    const float *right = prog_data(frame, step->in[1]);
    float *out = prog_data(frame, step->out[0]);
    for (size_t batch = 0; batch < matmul->batches; batch++) {
        size_t rest = batch;
        size_t offsets[2] = {0, 0};
        for (uint32_t i = matmul->rank; i-- > 0;) {
            size_t at = rest % (size_t)matmul->dims[i];
            rest /= (size_t)matmul->dims[i];
            offsets[0] += at * matmul->strides[0][i];
            offsets[1] += at * matmul->strides[1][i];
        }
        multiply(matmul, left + offsets[0], right + offsets[1],
                 out + batch * matmul->rows * matmul->columns);
    }
}

/* Batch strides of one side: 0 where its dimension is 1 or absent. */
static void batch_strides(const struct matmul *matmul, size_t *strides, const int64_t *dims,
                          uint32_t rank, size_t matrix)
{
    for (uint32_t i = matmul->rank; i-- > 0;) {
        uint32_t lead = matmul->rank - rank;
        int64_t dim = i >= lead ? dims[i - lead] : 1;
        strides[i] = dim == 1 ? 0 : matrix;
        matrix *= (size_t)dim;
    }
}

static bool matmul_batches(struct prog_plan *plan, struct matmul *matmul,
                           const struct prog_tensor *a, const struct prog_tensor *b)
{
    uint32_t a_rank = a->rank > 2 ? a->rank - 2 : 0;
    uint32_t b_rank = b->rank > 2 ? b->rank - 2 : 0;
    matmul->rank = a_rank > b_rank ? a_rank : b_rank;
    for (uint32_t i = 0; i < matmul->rank; i++) {
        int64_t left = i + a_rank >= matmul->rank ? a->dims[i + a_rank - matmul->rank] : 1;
        int64_t right = i + b_rank >= matmul->rank ? b->dims[i + b_rank - matmul->rank] : 1;
        if (left != right && left != 1 && right != 1)
            return prog_refuse(plan, "its inputs' leading dimensions do not fit");
        matmul->dims[i] = left == 1 ? right : left;
    }
    batch_strides(matmul, matmul->strides[0], a->dims, a_rank, matmul->rows * matmul->depth);
    batch_strides(matmul, matmul->strides[1], b->dims, b_rank, matmul->depth * matmul->columns);
    return ig_tensor_size(&matmul->batches, matmul->dims, matmul->rank) ||
           prog_refuse(plan, "its output is too large");
}

bool prog_plan_matmul(struct prog_plan *plan)
{
    const struct prog_tensor *a = prog_need(plan, 0, IG_TENSOR_F32);
    const struct prog_tensor *b = a ? prog_need(plan, 1, IG_TENSOR_F32) : NULL;
    struct matmul *matmul = b ? prog_state(plan, sizeof *matmul) : NULL;
    if (!matmul) return false;
    if (a->rank == 0 || b->rank == 0) return prog_refuse(plan, "a scalar");
    int64_t rows = a->rank > 1 ? a->dims[a->rank - 2] : 1;
    int64_t depth = a->dims[a->rank - 1];
    int64_t columns = b->rank > 1 ? b->dims[b->rank - 1] : 1;
    if (depth != b->dims[b->rank > 1 ? b->rank - 2 : 0])
        return prog_refuse(plan, "A has %lld columns, B another number of rows", (long long)depth);
    *matmul =
        (struct matmul){.rows = (size_t)rows, .depth = (size_t)depth, .columns = (size_t)columns};
    if (!matmul_batches(plan, matmul, a, b)) return false;
    int64_t dims[IG_GRAPH_RANK_MAX];
    uint32_t rank = matmul->rank;
    memcpy(dims, matmul->dims, sizeof dims);
    if (a->rank > 1) dims[rank++] = rows;
    if (b->rank > 1) dims[rank++] = columns;
    plan->step->run = run_matmul;
    return prog_shape(plan, prog_out(plan, 0), IG_TENSOR_F32, dims, rank);
}
