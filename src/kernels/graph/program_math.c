/* SPDX-License-Identifier: Apache-2.0 */
/* Gemm and MatMul on float32: shapes and strides of the products that program_product.h makes.
 * Source: ONNX operators. */
#include "kernels/graph/program_product.h"

#include <string.h>

struct gemm {
    struct prog_product product; /* less the data */
    const float *right; /* B as [depth, columns] where it is constant and given otherwise */
};

static void run_gemm(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct gemm *gemm = step->state;
    struct prog_product product = gemm->product;
    product.left = prog_data(frame, step->in[0]);
    product.right = gemm->right ? gemm->right : prog_data(frame, step->in[1]);
    product.bias = prog_optional(frame, step->in, step->in_count, 2);
    product.out = prog_data(frame, step->out[0]);
    prog_product_run(&product, frame->scratch);
}

static bool gemm_bias(struct prog_plan *plan, struct prog_product *product)
{
    const struct prog_tensor *bias = prog_in(plan, 2);
    if (!bias) return true;
    if (!prog_need(plan, 2, IG_TENSOR_F32)) return false;
    int64_t rows = bias->rank == 2 ? bias->dims[0] : 1;
    int64_t columns = bias->rank > 0 ? bias->dims[bias->rank - 1] : 1;
    if (bias->rank > 2 || (rows != 1 && (size_t)rows != product->rows) ||
        (columns != 1 && (size_t)columns != product->columns))
        return prog_refuse(plan, "input C does not fit the product");
    product->bias_column = columns == 1 ? 0 : 1;
    product->bias_row = rows == 1 ? 0 : (size_t)columns;
    return true;
}

static bool turn_right(struct prog_plan *plan, struct gemm *gemm, const float *from)
{
    size_t depth = gemm->product.depth, columns = gemm->product.columns;
    float *to = ig_arena_array(plan->arena, depth * columns + 1, sizeof *to);
    if (!to) return prog_no_memory(plan);
    for (size_t j = 0; j < columns; j++)
        for (size_t k = 0; k < depth; k++) to[k * columns + j] = from[j * depth + k];
    gemm->right = to;
    gemm->product.right_row = columns;
    gemm->product.right_column = 1;
    return true;
}

/* A constant right side in the order in which it will be read. */
static bool lay_right(struct prog_plan *plan, struct gemm *gemm, const float *from)
{
    if (!prog_product_pack(&gemm->product, from, plan->arena)) return prog_no_memory(plan);
    return gemm->product.packed || gemm->product.right_column == 1 || turn_right(plan, gemm, from);
}

/* The step's scratch and form of sums. */
static bool plan_product(struct prog_plan *plan, struct prog_product *product)
{
    prog_product_choose(product);
    plan->step->scratch_bytes = prog_product_scratch_bytes(product->depth);
    if (plan->step->scratch_bytes == 0 && product->depth > 0) return prog_no_memory(plan);
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
    bool left_turned = ig_graph_i64(node, "transA", 0) != 0;
    bool right_turned = ig_graph_i64(node, "transB", 0) != 0;
    int64_t rows = a->dims[left_turned ? 1 : 0];
    int64_t depth = a->dims[left_turned ? 0 : 1];
    int64_t columns = b->dims[right_turned ? 0 : 1];
    if (depth != b->dims[right_turned ? 1 : 0])
        return prog_refuse(plan, "A has %lld columns, B another number of rows", (long long)depth);
    gemm->product = (struct prog_product){.rows = (size_t)rows,
                                          .depth = (size_t)depth,
                                          .columns = (size_t)columns,
                                          .left_row = left_turned ? 1 : (size_t)depth,
                                          .left_column = left_turned ? (size_t)rows : 1,
                                          .right_row = right_turned ? 1 : (size_t)columns,
                                          .right_column = right_turned ? (size_t)depth : 1,
                                          .alpha = (double)ig_graph_f32(node, "alpha", 1),
                                          .beta = (double)ig_graph_f32(node, "beta", 1)};
    const struct prog_tensor *c = prog_in(plan, 2);
    plan->step->apart = !left_turned && b->constant && (!c || c->constant || c->rank == 2);
    plan->step->run = run_gemm;
    if (b->constant && !lay_right(plan, gemm, b->constant)) return false;
    return plan_product(plan, &gemm->product) && gemm_bias(plan, &gemm->product) &&
           prog_shape(plan, prog_out(plan, 0), IG_TENSOR_F32, (int64_t[]){rows, columns}, 2);
}

struct matmul {
    struct prog_product product; /* less the data */
    size_t batches;
    uint32_t rank; /* of the batch dimensions */
    int64_t dims[IG_GRAPH_RANK_MAX];
    size_t strides[2][IG_GRAPH_RANK_MAX];
};

static void run_matmul(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct matmul *matmul = step->state;
    const float *left = prog_data(frame, step->in[0]);
    const float *right = prog_data(frame, step->in[1]);
    float *out = prog_data(frame, step->out[0]);
    struct prog_product product = matmul->product;
    for (size_t batch = 0; batch < matmul->batches; batch++) {
        size_t rest = batch;
        size_t offsets[2] = {0, 0};
        for (uint32_t i = matmul->rank; i-- > 0;) {
            size_t at = rest % (size_t)matmul->dims[i];
            rest /= (size_t)matmul->dims[i];
            offsets[0] += at * matmul->strides[0][i];
            offsets[1] += at * matmul->strides[1][i];
        }
        product.left = left + offsets[0];
        product.right = right + offsets[1];
        product.out = out + batch * product.rows * product.columns;
        prog_product_run(&product, frame->scratch);
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
    const struct prog_product *product = &matmul->product;
    batch_strides(matmul, matmul->strides[0], a->dims, a_rank, product->rows * product->depth);
    batch_strides(matmul, matmul->strides[1], b->dims, b_rank, product->depth * product->columns);
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
    matmul->product = (struct prog_product){.rows = (size_t)rows,
                                            .depth = (size_t)depth,
                                            .columns = (size_t)columns,
                                            .left_row = (size_t)depth,
                                            .left_column = 1,
                                            .right_row = (size_t)columns,
                                            .right_column = 1,
                                            .alpha = 1};
    bool shared = b->constant && b->rank <= 2;
    if (shared && !prog_product_pack(&matmul->product, b->constant, plan->arena))
        return prog_no_memory(plan);
    if (!plan_product(plan, &matmul->product)) return false;
    if (!matmul_batches(plan, matmul, a, b)) return false;
    int64_t dims[IG_GRAPH_RANK_MAX];
    uint32_t rank = matmul->rank;
    memcpy(dims, matmul->dims, sizeof dims);
    if (a->rank > 1) dims[rank++] = rows;
    if (b->rank > 1) dims[rank++] = columns;
    uint32_t longest = a->rank > b->rank ? a->rank : b->rank;
    plan->step->apart = (a->constant || a->rank == longest) &&
                        (b->constant || (b->rank == longest && longest > 2)) && a->rank > 1;
    plan->step->run = run_matmul;
    return prog_shape(plan, prog_out(plan, 0), IG_TENSOR_F32, dims, rank);
}
