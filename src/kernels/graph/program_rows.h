/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_GRAPH_PROGRAM_ROWS_H
#define IG_KERNELS_GRAPH_PROGRAM_ROWS_H

/* Whether a block of rows may go through a graph at once. */

#include "kernels/graph/program_priv.h"

/* Whether every step on the way to the values of a program for one row keeps rows apart. */
bool prog_rows_may_be_apart(const struct ig_program *one);
/* `one` and `block` are planned for 1 and PROG_BLOCK rows. True if row i of the block's values is
 * known to be what `one` gives for row i of its inputs. */
bool prog_rows_apart(const struct ig_program *one, const struct ig_program *block);

#endif
