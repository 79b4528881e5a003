/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_CMD_EDGE_H
#define IG_APP_CMD_EDGE_H

/* What the verbs of `ingot edge` share. */

#include "cli.h"

#include "ingot_edge.h"

#include "base/json.h"
#include "formats/package.h"
#include "kernels/quantize/network_compact.h"
#include "kernels/quantize/tree_compact.h"

/* What --leaves says. */
enum ig_compact_want ig_cmd_edge_want(const struct ig_cli *cli);
/* A model made compact: one of trees and network is set. */
struct ig_cmd_edge_compact {
    struct ig_tree_compact *trees;
    struct ig_network_compact *network;
    struct ig_network *copy; /* of another rounding than the model's */
};
/* The model must outlive it. Also after a failure it is to be freed. */
enum ig_code ig_cmd_edge_compact(struct ig_cmd_edge_compact *compact, const struct ig_cli *cli,
                                 const struct ig_model *model, struct ig_err *err);
void ig_cmd_edge_compact_free(struct ig_cmd_edge_compact *compact);
/* The compact file. */
enum ig_code ig_cmd_edge_write(struct ig_buf *out, const struct ig_cmd_edge_compact *compact,
                               struct ig_err *err);

/* What `edge inspect` tells of a network; the JSON's object is open. */
void ig_cmd_edge_network_text(const struct ige_interpreter *interpreter, size_t file_bytes);
void ig_cmd_edge_network_json(struct ig_json_out *out, const struct ige_interpreter *interpreter,
                              size_t file_bytes);
/* Rows of real numbers, of trees and networks: all inputs, all outputs. */
uint32_t ig_cmd_edge_values(const struct ige_interpreter *interpreter);
void ig_cmd_edge_set_row(struct ige_interpreter *interpreter, const double *row);
double ig_cmd_edge_value(const struct ige_interpreter *interpreter, uint32_t index);

#endif
