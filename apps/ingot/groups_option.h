/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_GROUPS_OPTION_H
#define IG_APP_GROUPS_OPTION_H

#include "cli.h"

#include "formats/groups.h"

/* The option --group NAME=COLUMN,... of a verb, repeated; in the arena. */
enum ig_code ig_groups_option(struct ig_groups *out, const struct ig_cli *cli,
                              const struct ig_schema *schema, struct ig_arena *arena,
                              struct ig_err *err);

#endif
