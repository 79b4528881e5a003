/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_CMD_EDGE_H
#define IG_APP_CMD_EDGE_H

/* What the verbs of `ingot edge` share. */

#include "cli.h"

#include "formats/package.h"
#include "kernels/quantize/tree_compact.h"

/* What --leaves says. */
enum ig_compact_want ig_cmd_edge_want(const struct ig_cli *cli);
/* The network that a package is. */
enum ig_code ig_cmd_edge_network(const struct ig_network **out, const struct ig_package *package,
                                 struct ig_err *err);

#endif
