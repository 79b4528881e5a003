/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_GRAPH_GRAPH_TESTING_H
#define IG_KERNELS_GRAPH_GRAPH_TESTING_H

/* Tests only: graphs built by hand. Everything must outlive the graph but the lists, which are
 * copied. */

#include "model/graph.h"

#include <string.h>

enum { TEST_VALUES_MAX = 16, TEST_NODES_MAX = 8 };

static inline struct ig_graph *test_graph(void)
{
    static struct ig_graph_opset opsets[] = {{{"", 0}, 13}, {{"ai.onnx.ml", 10}, 3}};
    struct ig_graph *graph = ig_graph_new(1 << 22);
    if (!graph) return NULL;
    graph->values = ig_arena_array(&graph->arena, TEST_VALUES_MAX, sizeof *graph->values);
    graph->nodes = ig_arena_array(&graph->arena, TEST_NODES_MAX, sizeof *graph->nodes);
    graph->inputs = ig_arena_array(&graph->arena, TEST_VALUES_MAX, sizeof *graph->inputs);
    graph->outputs = ig_arena_array(&graph->arena, TEST_VALUES_MAX, sizeof *graph->outputs);
    graph->opsets = opsets;
    graph->opsets_count = 2;
    return graph;
}

static inline uint32_t test_value(struct ig_graph *graph)
{
    return graph->values_count++;
}

static inline uint32_t test_input(struct ig_graph *graph, enum ig_tensor_type type,
                                  const int64_t *dims, uint32_t rank)
{
    uint32_t index = graph->values_count++;
    struct ig_graph_value *value = &graph->values[index];
    *value =
        (struct ig_graph_value){.name = IG_STR("x"), .declared = true, .type = type, .rank = rank};
    memcpy(value->dims, dims, rank * sizeof *dims);
    graph->inputs[graph->inputs_count++] = index;
    return index;
}

static inline uint32_t test_constant(struct ig_graph *graph, const struct ig_tensor *tensor)
{
    uint32_t index = graph->values_count++;
    graph->values[index].initialiser = tensor;
    return index;
}

/* A node of one output, whose value is returned; `inputs` ends with IG_GRAPH_NONE. */
static inline uint32_t test_node(struct ig_graph *graph, const char *op, const uint32_t *inputs,
                                 struct ig_attribute *attributes, uint32_t attributes_count)
{
    struct ig_graph_node *node = &graph->nodes[graph->nodes_count++];
    *node = (struct ig_graph_node){.name = IG_STR("node"),
                                   .op = ig_str_view(op),
                                   .attributes = attributes,
                                   .attributes_count = attributes_count};
    node->inputs = ig_arena_array(&graph->arena, 8, sizeof *node->inputs);
    node->outputs = ig_arena_array(&graph->arena, 1, sizeof *node->outputs);
    while (inputs[node->inputs_count] != IG_GRAPH_NONE) {
        node->inputs[node->inputs_count] = inputs[node->inputs_count];
        node->inputs_count++;
    }
    node->outputs[0] = graph->values_count++;
    node->outputs_count = 1;
    return node->outputs[0];
}

static inline void test_output(struct ig_graph *graph, uint32_t value)
{
    graph->outputs[graph->outputs_count++] = value;
}

#endif
