/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_PRECOMPUTE_H
#define IG_APP_PRECOMPUTE_H

#include "cli.h"

/* `ingot explain --precompute DEPLOYMENT`: exit code. */
int ig_precompute(const struct ig_cli *cli);

#endif
