/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_CMD_EDGE_H
#define IG_APP_CMD_EDGE_H

/* What the verbs of `ingot edge` share. */

#include "cli.h"

#include "kernels/quantize/tree_compact.h"

/* What --leaves says. */
enum ig_compact_want ig_cmd_edge_want(const struct ig_cli *cli);

#endif
