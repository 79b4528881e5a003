/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_CMD_EDGE_H
#define IG_APP_CMD_EDGE_H

/* What the verbs of `ingot edge` share. */

#include "cli.h"

#include "services/edge/edge_device.h"
#include "services/edge/edge_options.h"

/* What --leaves and --rounding say. INVALID also names an option that the format or the package's
 * model does not take. */
enum ig_code ig_cmd_edge_choice(struct ig_edge_choice *out, const struct ig_cli *cli,
                                enum ig_edge_format format, const struct ig_package *package,
                                struct ig_err *err);
/* What `edge inspect` tells of a network. */
void ig_cmd_edge_print_network(const struct ig_edge_device *device);
/* Rows of real numbers, of trees and networks: all inputs, all outputs. */
uint32_t ig_cmd_edge_values(const struct ige_interpreter *interpreter);
void ig_cmd_edge_set_row(struct ige_interpreter *interpreter, const double *row);
double ig_cmd_edge_value(const struct ige_interpreter *interpreter, uint32_t index);

#endif
